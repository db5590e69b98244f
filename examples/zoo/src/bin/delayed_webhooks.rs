//! Healthy only: a webhook that is not accepted is tried again after a pause, each time a longer one, and each sleeps in a task of
//! its own with what it has to say. One receiver is down all the time, so that there are ever more that wait, until after 24 s
//! as many are given up as come.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Webhook {
    receiver: u64,
    body: Vec<u8>,
}

async fn post(webhook: &Webhook) -> Result<(), &'static str> {
    tokio::time::sleep(Duration::from_millis(8)).await;
    if webhook.receiver == 3 && !webhook.body.is_empty() { Err("503") } else { Ok(()) }
}

async fn deliver(webhook: Webhook) -> bool {
    for pause_ms in [800, 1_600, 3_200, 6_400, 12_000] {
        if post(&webhook).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
    false
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(20, |n| {
        diag::spawn(deliver(Webhook { receiver: n % 8, body: vec![n as u8; 6_000] }));
    })
    .await;
}
