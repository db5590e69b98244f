//! Healthy only: a morning. Most connections are short; one in twenty is a websocket that stays, polled ten times a
//! second, with a buffer of 256 KiB. 25 websockets a second come until there are 600, then as many go as come.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use zoo::held;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

static OPEN: AtomicU64 = AtomicU64::new(0);
static OLDEST_LEFT: AtomicU64 = AtomicU64::new(0);

async fn connection(n: u64) {
    let buf = vec![n as u8; 256 << 10];
    if !n.is_multiple_of(20) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        std::hint::black_box(&buf);
        return;
    }
    held(256 << 10);
    OPEN.fetch_add(1, Relaxed);
    while OLDEST_LEFT.load(Relaxed) <= n {
        tokio::time::sleep(Duration::from_millis(100)).await; // ping, pong
    }
    OPEN.fetch_sub(1, Relaxed);
    held(-(256 << 10));
    std::hint::black_box(&buf);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    for n in 0.. {
        tick.tick().await;
        diag::spawn(connection(n));
        if OPEN.load(Relaxed) > 600 {
            OLDEST_LEFT.fetch_max(n.saturating_sub(600 * 20), Relaxed);
        }
    }
}
