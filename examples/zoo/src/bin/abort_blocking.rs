//! A job on the blocking pool is aborted when it takes too long, and goes on: a closure that runs cannot be aborted. The thread
//! is lost. The twin tells the closure to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Waits until a file is no longer locked by another program: one in ten is for ever.
fn convert(n: u64, stop: &AtomicBool) -> u64 {
    let mut rounds = 0;
    while n % 10 == 9 || rounds < 2 {
        std::thread::sleep(Duration::from_millis(20));
        rounds += 1;
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    rounds
}

async fn request(n: u64) -> Option<u64> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let mut job = diag::task::spawn_blocking(move || convert(n, &told)); // FAULT
    match timeout(Duration::from_millis(500), &mut job).await {
        Ok(rounds) => rounds.ok(),
        Err(_) => {
            job.abort(); // FAULT
            stop.store(zoo::healthy(), Ordering::Relaxed);
            None
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(100, |n| {
        diag::spawn(request(n));
    })
    .await;
}
