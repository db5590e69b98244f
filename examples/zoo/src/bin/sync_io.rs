//! A handler compresses what it sends, and a large answer takes it 300 ms in which its worker polls nobody else. The twin gives
//! that to the blocking pool.

use std::time::{Duration, Instant};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

fn compress(for_ms: u64) -> u64 {
    let begin = Instant::now();
    let mut sum = 0;
    while begin.elapsed() < Duration::from_millis(for_ms) {
        sum = (0..10_000).fold(sum, |sum, byte| zoo::mix(sum ^ byte)); // FAULT
    }
    sum
}

async fn answer(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(2)).await;
    if !n.is_multiple_of(100) {
        return zoo::mix(n);
    }
    if zoo::healthy() {
        return diag::task::spawn_blocking(|| compress(300)).await.unwrap_or(0);
    }
    compress(300) // FAULT
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    zoo::start();
    zoo::every(20, |n| {
        diag::spawn(answer(n)); // FAULT
    })
    .await;
}
