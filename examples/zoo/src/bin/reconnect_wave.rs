//! Healthy only: 300 connections stay for long. After 25 s the balancer restarts, all of them drop, and within some seconds
//! all are back, with their buffers.

use std::time::Duration;

use tokio::sync::watch;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn connection(n: u64, mut balancer: watch::Receiver<u64>) {
    let buffer = vec![n as u8; 100_000];
    zoo::held(100_000);
    let mut ping = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = ping.tick() => { std::hint::black_box(&buffer); }
            _ = balancer.changed() => break,
        }
    }
    zoo::held(-100_000);
}

/// A device comes back after a pause that is its own, so that not all come at once.
async fn device(n: u64, mut balancer: watch::Receiver<u64>) {
    loop {
        tokio::time::sleep(Duration::from_millis(zoo::mix(n) % 6_000)).await;
        balancer.mark_unchanged();
        let _ = diag::spawn(connection(n, balancer.clone())).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (balancer, seen) = watch::channel(0);
    for n in 0..300 {
        diag::spawn(device(n, seen.clone()));
    }
    loop {
        tokio::time::sleep(Duration::from_secs(25)).await;
        balancer.send_modify(|restarts| *restarts += 1);
    }
}
