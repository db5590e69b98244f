//! Healthy only: a replica reads all rows of its primary for 33 s, at an even rate and in batches, and from then on changes
//! what it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

const ROWS: u64 = 50_000;

type Rows = Arc<Mutex<HashMap<u64, Box<[u8]>>>>;

async fn batch(rows: Rows, first: u64, count: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut rows = rows.lock().unwrap();
    for row in first..first + count {
        rows.insert(row % ROWS, vec![row as u8; 1_000].into());
    }
    zoo::set_held(rows.len() * 1_000);
    count
}

#[tokio::main]
async fn main() {
    zoo::start();
    let rows = Rows::default();
    for first in (0..ROWS).step_by(150) {
        diag::spawn(batch(rows.clone(), first, 150));
        tokio::time::sleep(Duration::from_millis(99)).await;
    }
    zoo::every(10, |n| {
        diag::spawn(batch(rows.clone(), zoo::mix(n) % ROWS, 3));
    })
    .await;
}
