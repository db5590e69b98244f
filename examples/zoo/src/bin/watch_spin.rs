//! The fault of relay#4071: in a loop around `select!`, `changed()` of a watch is an error at once, each time, after the
//! sender is gone. The twin ends the loop.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn buffer(mut envelopes: mpsc::Receiver<u64>, mut config: watch::Receiver<u64>) {
    let mut sum = 0u64;
    let mut is_watched = true;
    loop {
        tokio::select! {
            Some(envelope) = envelopes.recv() => sum = sum.wrapping_add(envelope),
            changed = config.changed(), if is_watched => { // FAULT
                if changed.is_err() && zoo::healthy() {
                    is_watched = false;
                }
            }
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (global_config, config) = watch::channel(0);
    let (envelopes, inbox) = mpsc::channel(100);
    diag::spawn(buffer(inbox, config)); // FAULT
    diag::spawn(async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let _ = global_config.send(1);
    });
    zoo::every(20, |n| {
        let envelopes = envelopes.clone();
        diag::spawn(async move { envelopes.send(n).await });
    })
    .await;
}
