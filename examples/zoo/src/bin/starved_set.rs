//! An actor keeps its queries in a `FuturesUnordered` and prefers new messages, by `biased`; as long as there is always
//! one more, no query is ever polled to its end. The twin takes them as they come.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Query = Pin<Box<dyn Future<Output = usize> + Send>>;

fn query(message: u64) -> Query {
    let buffer = vec![message as u8; 1_500]; // FAULT
    zoo::held(1_500);
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        buffer.len()
    }) // FAULT
}

async fn actor(mut messages: mpsc::Receiver<u64>) {
    let mut queries = FuturesUnordered::new();
    loop {
        if zoo::healthy() {
            tokio::select! {
                Some(message) = messages.recv() => queries.push(query(message)),
                Some(bytes) = queries.next() => zoo::held(-(bytes as i64)),
            }
        } else {
            tokio::select! {
                biased;
                Some(message) = messages.recv() => queries.push(query(message)), // FAULT
                Some(bytes) = queries.next() => zoo::held(-(bytes as i64)),
            }
        }
        tokio::time::sleep(Duration::from_micros(10)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to, messages) = mpsc::channel(2_000);
    diag::spawn(actor(messages)); // FAULT
    let mut message = 0;
    let per_s = if zoo::healthy() { 400 } else { 900 };
    zoo::pace(per_s, || {
        message += 1;
        let _ = to.try_send(message);
    })
    .await;
}
