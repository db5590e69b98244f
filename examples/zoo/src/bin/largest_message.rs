//! Healthy only: each of 150 connections reads into a buffer that grows to its largest message and stays so. Messages are small
//! as a rule, and large ones ever rarer for a connection that has had one: what all have together comes to its end slowly.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn connection(id: u64) {
    let mut buffer = Vec::new();
    for message in 0u64.. {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let random = zoo::mix(id * 1_000_003 + message) % 1_000;
        let bytes = if random < 4 { 200_000 } else { 200 + random as usize };
        let before = buffer.capacity();
        buffer.clear();
        buffer.resize(bytes, message as u8);
        zoo::held(buffer.capacity() as i64 - before as i64);
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    for id in 0..150 {
        diag::spawn(connection(id));
    }
    std::future::pending().await
}
