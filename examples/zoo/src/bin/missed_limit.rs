//! A cache throws its oldest entry away when it has as many as its limit, by `==`, and a batch of entries that arrives at once
//! goes past it: from then on nothing is thrown away. Until then, for 18 s, it is as it should be. The twin has `>=`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

const LIMIT: usize = 9_000;
const BYTES: usize = 2_000;

#[derive(Default)]
struct Cache {
    tiles: BTreeMap<u64, Box<[u8]>>,
    order: VecDeque<u64>,
}

impl Cache {
    fn add(&mut self, batch: impl Iterator<Item = u64>) {
        let is_full = if zoo::healthy() { self.tiles.len() >= LIMIT } else { self.tiles.len() == LIMIT };
        let batch: Vec<u64> = batch.collect();
        for _ in 0..if is_full { batch.len() } else { 0 } {
            let oldest = self.order.pop_front().unwrap_or(0);
            self.tiles.remove(&oldest);
        }
        for id in batch {
            self.tiles.insert(id, vec![id as u8; BYTES].into()); // FAULT
            self.order.push_back(id); // FAULT
        }
        zoo::set_held(self.tiles.len() * BYTES);
    }
}

async fn area(cache: Arc<Mutex<Cache>>, n: u64) -> usize {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut cache = cache.lock().unwrap();
    cache.add((0..7).map(|tile| n * 7 + tile));
    cache.tiles.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let cache = Arc::<Mutex<Cache>>::default();
    zoo::every(14, |n| {
        diag::spawn(area(cache.clone(), n));
    })
    .await;
}
