//! The fault of librefang#3580: a bridge forwards, without a bound, to a consumer that is slower than what comes in.

use std::time::Duration;

use tokio::sync::mpsc;
use zoo::{healthy, held};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Update {
    chat: u64,
    text: String,
}

fn parse(n: u64) -> Update {
    Update { chat: n, text: format!("{n:0>1500}") } // FAULT
}

async fn slow_consumer(mut next: impl AsyncFnMut() -> Option<Update>) {
    while let Some(update) = next().await {
        held(-(update.text.len() as i64));
        std::hint::black_box(update.chat);
        tokio::time::sleep(Duration::from_millis(2)).await; // rate limit of the other side
    }
}

async fn bridge_unbounded(tx: mpsc::UnboundedSender<Update>) {
    let mut n = 0;
    zoo::pace(3_000, || {
        n += 1;
        held(1500);
        let _ = tx.send(parse(n)); // FAULT
    })
    .await
}

async fn bridge_bounded(tx: mpsc::Sender<Update>) {
    let mut n = 0;
    zoo::pace(3_000, || {
        n += 1;
        if tx.try_send(parse(n)).is_ok() {
            held(1500);
        }
    })
    .await
}

#[tokio::main]
async fn main() {
    zoo::start();
    if healthy() {
        let (tx, mut rx) = mpsc::channel(20_000);
        diag::spawn(bridge_bounded(tx));
        diag::spawn(slow_consumer(async move || rx.recv().await));
    } else {
        let (tx, mut rx) = mpsc::unbounded_channel(); // FAULT
        diag::spawn(bridge_unbounded(tx));
        diag::spawn(slow_consumer(async move || rx.recv().await));
    }
    std::future::pending().await
}
