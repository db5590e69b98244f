//! Healthy only: measurements are collected for 22 s, then written out and let go of. There is no growth from one batch to the
//! next, and a good deal within each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Batch = Arc<Mutex<Vec<Vec<u64>>>>;

async fn measure(batch: Batch, sensor: u64) {
    let values: Vec<u64> = (0..200).map(|value| zoo::mix(sensor + value)).collect();
    zoo::held(1_600);
    batch.lock().unwrap().push(values);
}

async fn write_out(batch: Batch) -> usize {
    let rows = std::mem::take(&mut *batch.lock().unwrap());
    zoo::held(rows.len() as i64 * -1_600);
    tokio::time::sleep(Duration::from_millis(400)).await;
    rows.iter().map(Vec::len).sum()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let batch = Batch::default();
    let mut n = 0;
    zoo::pace(1_000, || {
        n += 1;
        diag::spawn(measure(batch.clone(), n));
        if n % 22_000 == 0 {
            diag::spawn(write_out(batch.clone()));
        }
    })
    .await;
}
