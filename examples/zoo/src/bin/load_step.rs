//! Healthy only: after 20 s there is four times the traffic, each request takes twice as long, and it stays so.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn request(n: u64, busy: bool) -> usize {
    let body = vec![n as u8; 200_000];
    zoo::held(200_000);
    let ms = 150 + zoo::mix(n) % 100;
    tokio::time::sleep(Duration::from_millis(if busy { 2 * ms } else { ms })).await;
    zoo::held(-200_000);
    body.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(8, |n| {
        let busy = n > 2_500;
        for part in 0..if busy { 4 } else { 1 } {
            diag::spawn(request(n * 4 + part, busy));
        }
    })
    .await;
}
