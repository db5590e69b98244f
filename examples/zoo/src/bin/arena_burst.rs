//! The fault of xearthlayer#227, which is no leak: bursts on many threads free all they took, but a few small blocks pin
//! what each of malloc's arenas had at its peak. The twin trims after each burst.
//!
//! `--stats`: the service lets diag ask the allocator for its free memory.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use zoo::{healthy, set_held};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

static RESULTS: Mutex<VecDeque<Box<[u8; 96]>>> = Mutex::new(VecDeque::new());

fn tile(n: usize) {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for i in 0..12_000usize {
        parts.push(vec![1; 200 + (i * 7919 + n) % 1800]); // FAULT
        if i % 400 == 0 {
            let mut results = RESULTS.lock().unwrap();
            results.push_back(Box::new([n as u8; 96]));
            while results.len() > 20_000 {
                results.pop_front();
            }
        }
    }
    std::thread::sleep(Duration::from_millis(150));
}

#[tokio::main]
async fn main() {
    if zoo::flag("--stats") {
        diag::Builder::new().allocator_stats(diag::glibc_stats).init();
        zoo::tell_truth();
    } else {
        zoo::start();
    }
    for burst in 0usize.. {
        let mut tiles = diag::task::JoinSet::new();
        for n in 0..(6 + 3 * burst).min(40) {
            tiles.spawn_blocking(move || tile(n));
        }
        while tiles.join_next().await.is_some() {}
        set_held(RESULTS.lock().unwrap().len() * 96);
        if healthy() {
            // SAFETY: it has no conditions.
            unsafe { libc::malloc_trim(0) };
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
}
