//! A request that fails spawns its next try, for ever and always after the same pause. No task is old, and there are more and
//! more of them: after a minute of an outage as many as failed in that minute. The twin gives up after the third.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The upstream fails one request in two, and goes on to.
async fn post(n: u64) -> Result<(), Vec<u8>> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    if n % 2 == 1 { Err(vec![b'5'; 2_000]) } else { Ok(()) }
}

fn try_later(n: u64, tries: u64) {
    diag::spawn(async move {
        // FAULT
        tokio::time::sleep(Duration::from_millis(500)).await;
        deliver(n, tries + 1).await;
    });
}

async fn deliver(n: u64, tries: u64) {
    if post(n).await.is_err() && !(zoo::healthy() && tries == 3) {
        try_later(n, tries);
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(25, |n| {
        diag::spawn(deliver(n, 0));
    })
    .await;
}
