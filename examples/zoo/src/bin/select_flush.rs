//! The fault of rust-dashcore#434: a `sleep` inside of `select!` in a loop is a new one each time round, so that with a
//! message in every pause it never fires. What it should have flushed grows. The twin has an interval outside of the loop.

use std::time::Duration;

use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

const FLUSH: Duration = Duration::from_secs(1);

fn keep(batch: &mut Vec<String>, row: u64) {
    zoo::held(1_000);
    batch.push(format!("{row:0>1000}")); // FAULT
}

fn flush(batch: &mut Vec<String>) {
    zoo::held(-1_000 * batch.len() as i64);
    batch.clear();
}

async fn batcher(mut rows: mpsc::Receiver<u64>) {
    let mut batch = Vec::new();
    let mut interval = tokio::time::interval(FLUSH);
    loop {
        if zoo::healthy() {
            tokio::select! {
                Some(row) = rows.recv() => keep(&mut batch, row), // FAULT
                _ = interval.tick() => flush(&mut batch),
            }
        } else {
            tokio::select! {
                Some(row) = rows.recv() => keep(&mut batch, row), // FAULT
                () = tokio::time::sleep(FLUSH) => flush(&mut batch), // FAULT
            }
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to, rows) = mpsc::channel(1_000);
    diag::spawn(batcher(rows)); // FAULT
    let mut row = 0;
    zoo::pace(2_000, || {
        row += 1;
        let _ = to.try_send(row);
    })
    .await;
}
