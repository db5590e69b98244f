//! Healthy only: what is recorded goes to an object store in parts, and a part has to have 5 MiB. It is a vector that grows for 27 s
//! when there is little to record, for 10 s when there is much, and then is sent and let go of.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod part {
    /// So many bytes a part has at least.
    const ENOUGH: usize = 5 << 20;

    /// Records that wait until they are enough.
    #[derive(Default)]
    pub(crate) struct Part {
        records: Vec<Box<[u8]>>,
        bytes: usize,
    }

    impl Part {
        /// Takes a record, and gives back all of them when they are enough.
        pub(crate) fn push(&mut self, record: &[u8]) -> Option<Vec<Box<[u8]>>> {
            self.records.push(record.into());
            self.bytes += record.len();
            zoo::set_held(self.bytes);
            (self.bytes >= ENOUGH).then(|| {
                self.bytes = 0;
                std::mem::take(&mut self.records)
            })
        }
    }
}

/// Sends a part, in pieces of a few milliseconds each.
async fn upload(records: Vec<Box<[u8]>>) -> u64 {
    let mut checksum = 0;
    for piece in records.chunks(500) {
        checksum = piece.iter().fold(checksum, |sum, record| zoo::mix(sum ^ record.len() as u64));
        sleep(Duration::from_millis(15)).await;
    }
    checksum
}

async fn record(part: Arc<Mutex<part::Part>>, n: u64) {
    let event = vec![n as u8; 300 + (zoo::mix(n) % 400) as usize];
    sleep(Duration::from_millis(n % 6)).await;
    let full = part.lock().unwrap().push(&event);
    if let Some(records) = full {
        diag::spawn(upload(records));
    }
}

/// How many records come in ten milliseconds, at this second: little at first, then three times as much, and again.
fn rate(second: u64) -> u64 {
    if second % 48 < 30 { 4 } else { 12 }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let part = Arc::new(Mutex::new(part::Part::default()));
    let mut n = 0;
    zoo::every(10, |tick| {
        for _ in 0..rate(tick / 100) {
            n += 1;
            diag::spawn(record(part.clone(), n));
        }
    })
    .await;
}
