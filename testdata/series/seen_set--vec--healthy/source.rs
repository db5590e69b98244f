//! The fault of mdk#450: ids of messages that were seen, so that none is handled twice, and none is ever forgotten.
//! The values are inline. The twin forgets the older half.
//!
//! `--vec`: an audit trail in one vector instead.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use zoo::{healthy, pace, set_held};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Engine {
    in_one_vector: bool,
    is_pruned: bool,
    audit: Vec<[u8; 32]>,
    seen: HashSet<[u8; 32]>,
    older: HashSet<[u8; 32]>,
}

impl Engine {
    fn is_new(&mut self, id: [u8; 32]) -> bool {
        if self.in_one_vector {
            self.audit.push(id); // FAULT
            if self.is_pruned && self.audit.len() > 400_000 {
                self.audit.clear();
            }
            set_held(self.audit.capacity() * 32);
            return true;
        }
        if self.is_pruned && self.seen.len() >= 200_000 {
            self.older = std::mem::take(&mut self.seen);
        }
        let new = !self.older.contains(&id) && self.seen.insert(id); // FAULT
        set_held((self.seen.capacity() + self.older.capacity()) * 8 / 7 * 33);
        new
    }
}

async fn ingest(engine: Arc<Mutex<Engine>>) {
    let mut n = 0u64;
    pace(if healthy() { 25_000 } else { 50_000 }, || {
        n += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        let payload = vec![7u8; 700];
        if engine.lock().unwrap().is_new(id) {
            std::hint::black_box(&payload);
        }
    })
    .await
}

#[tokio::main]
async fn main() {
    zoo::start();
    let engine = Engine { in_one_vector: zoo::flag("--vec"), is_pruned: healthy(), ..Engine::default() };
    let _ = diag::spawn(ingest(Arc::new(Mutex::new(engine)))).await;
}
