//! A consumer waits for a receipt that never comes, its channel fills, and all producers wait in `send`. Nothing grows: there
//! are as many tasks as before, and none does anything. The twin waits for a second and goes on.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Receipt = oneshot::Sender<u64>;

/// The sink keeps every 2,000th receipt for later, and there is no later.
async fn sink(mut batches: mpsc::Receiver<(u64, Receipt)>) {
    let mut later = Vec::new();
    while let Some((n, receipt)) = batches.recv().await {
        if n % 2_000 == 1_999 {
            later.push(receipt);
        } else {
            let _ = receipt.send(n);
        }
    }
}

async fn consumer(mut readings: mpsc::Receiver<u64>, sink: mpsc::Sender<(u64, Receipt)>) {
    let mut n = 0;
    while readings.recv().await.is_some() {
        let (receipt, received) = oneshot::channel();
        let _ = sink.send((n, receipt)).await;
        if zoo::healthy() {
            let _ = tokio::time::timeout(Duration::from_secs(1), received).await;
        } else {
            let _ = received.await; // FAULT
        }
        n += 1;
    }
}

async fn producer(readings: mpsc::Sender<u64>, sensor: u64) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        let _ = readings.send(sensor).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to_consumer, readings) = mpsc::channel(64);
    let (to_sink, batches) = mpsc::channel(4);
    diag::spawn(sink(batches));
    diag::spawn(consumer(readings, to_sink)); // FAULT
    for sensor in 0..20 {
        diag::spawn(producer(to_consumer.clone(), sensor));
    }
    zoo::every(50, |_| {
        diag::spawn(tokio::time::sleep(Duration::from_millis(3)));
    })
    .await;
}
