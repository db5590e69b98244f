//! Healthy only: every 15 s a batch of 12,000 messages goes into a queue without a bound, and is worked off in 11 s.

use std::time::Duration;

use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn consumer(mut mails: mpsc::UnboundedReceiver<String>) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        for _ in 0..11 {
            let Some(mail) = mails.recv().await else { return };
            zoo::held(-(mail.len() as i64));
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to, mails) = mpsc::unbounded_channel();
    diag::spawn(consumer(mails));
    zoo::every(15_000, |batch| {
        for n in 0..12_000 {
            zoo::held(2_000);
            let _ = to.send(format!("{:0>2000}", batch * 12_000 + n));
        }
    })
    .await;
}
