//! A thread with a `LocalSet` answers requests by `run_until`, one after the other, and what a request leaves behind for later
//! is a local task: it runs only while the next request does. Writing back takes longer than any request. The twin
//! drives the set in between.

use std::time::Duration;

use diag::task::LocalSet;
use tokio::time::{sleep, timeout};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn write_back(row: u64) -> usize {
    let page = vec![row as u8; 6_000];
    for _ in 0..40 {
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(5)).await;
    }
    page.len()
}

async fn request(set: &LocalSet, row: u64) -> u64 {
    set.spawn_local(write_back(row)); // FAULT
    zoo::mix(row)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    zoo::start();
    let set = LocalSet::new();
    for row in 0.. {
        set.run_until(request(&set, row)).await; // FAULT
        if zoo::healthy() {
            let _ = timeout(Duration::from_millis(20), set.run_until(std::future::pending::<()>())).await;
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
}
