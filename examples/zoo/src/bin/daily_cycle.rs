//! Healthy only: a day of 40 s. Sessions come more often by day than by night, and each lives for 4 s with a buffer.

use std::f64::consts::TAU;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn session(n: u64) {
    let mut buffer = vec![0; 150_000];
    zoo::held(150_000);
    for click in 0..20 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        buffer[click * 1_000] = n as u8;
    }
    zoo::held(-150_000);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let mut due = 0.0;
    zoo::every(20, |n| {
        let hour = n as f64 * 0.02 / 40.0;
        due += 1.6 * (1.05 - (hour * TAU).cos()) / 2.0;
        while due >= 1.0 {
            due -= 1.0;
            diag::spawn(session(n));
        }
    })
    .await;
}
