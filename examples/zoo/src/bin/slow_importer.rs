//! Healthy only: 40 importers send rows into a queue of 32, and the index behind it takes 25 of them a second and makes a
//! checkpoint of three seconds every 14 s. The queue is always full, each row waits for one or two seconds until there is room,
//! and that is how it is meant: nothing grows.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod index {
    use std::time::Duration;

    use tokio::sync::{mpsc, oneshot};
    use tokio::time::{Instant, sleep};

    pub(crate) struct Row {
        pub(crate) text: String,
        pub(crate) done: oneshot::Sender<usize>,
    }

    pub(crate) async fn run(mut rows: mpsc::Receiver<Row>) {
        let mut checkpoint = Instant::now();
        let mut terms = vec![0_u32; 50_000];
        while let Some(row) = rows.recv().await {
            sleep(Duration::from_millis(40)).await;
            for term in row.text.split(' ') {
                terms[term.len() % 50_000] += 1;
            }
            let _ = row.done.send(row.text.len());
            if checkpoint.elapsed() > Duration::from_secs(14) {
                sleep(Duration::from_secs(3)).await;
                checkpoint = Instant::now();
            }
        }
    }
}

/// Reads a file of rows, and has each of them indexed before it takes the next.
async fn import(to_index: mpsc::Sender<index::Row>, file: u64) -> usize {
    let rows = stream::iter(0_u64..).then(|row| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        format!("file {file} row {row} {:>700}", zoo::mix(row))
    });
    let mut rows = std::pin::pin!(rows);
    let mut bytes = 0;
    while let Some(text) = rows.next().await {
        let (done, indexed) = tokio::sync::oneshot::channel();
        if to_index.send(index::Row { text, done }).await.is_err() {
            break;
        }
        bytes += indexed.await.unwrap_or_default();
    }
    bytes
}

async fn search(n: u64) -> usize {
    tokio::time::sleep(Duration::from_millis(5)).await;
    format!("{n:>1000}").len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to_index, rows) = mpsc::channel(32);
    diag::spawn(index::run(rows));
    for file in 0..40 {
        diag::spawn(import(to_index.clone(), file));
    }
    zoo::every(20, |n| {
        diag::spawn(search(n));
    })
    .await;
}
