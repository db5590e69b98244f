//! The fault of risingwave#5522, and the kind of which sled#1258 speaks: a value that is written anew stays as long as a reader may
//! want the one before, for which readers pin the time at which they began. A query that finds its table empty returns early and
//! forgets to unpin. From the fourth second on nothing that is older may go, and all that is written stays. In the twin a guard
//! unpins.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod store {
    use std::collections::{BTreeMap, HashMap};

    type Versions = Vec<(u64, Box<[u8]>)>;

    #[derive(Default)]
    pub(crate) struct Store {
        now: u64,
        rows: HashMap<u64, Versions>,
        /// How many read at a time.
        pins: BTreeMap<u64, u64>,
    }

    impl Store {
        pub(crate) fn write(&mut self, row: u64, value: &[u8]) {
            self.now += 1;
            let versions = self.rows.entry(row).or_default();
            versions.push((self.now, value.into())); // FAULT
        }

        pub(crate) fn read(&self, row: u64, at: u64) -> Option<&[u8]> {
            let versions = self.rows.get(&row)?.iter().rev();
            versions.filter(|(time, _)| *time <= at).map(|(_, value)| &**value).next()
        }

        pub(crate) fn pin(&mut self) -> u64 {
            *self.pins.entry(self.now).or_default() += 1;
            self.now
        }

        pub(crate) fn unpin(&mut self, at: u64) {
            let Some(readers) = self.pins.get_mut(&at) else { return };
            *readers -= 1;
            if *readers == 0 {
                self.pins.remove(&at);
            }
        }

        /// Lets go of what nobody can read any more.
        pub(crate) fn collect(&mut self) {
            let oldest = self.pins.keys().next().copied().unwrap_or(self.now); // FAULT
            for versions in self.rows.values_mut() {
                let kept = versions.iter().rposition(|(time, _)| *time <= oldest).unwrap_or(0);
                versions.drain(..kept);
            }
        }
    }
}

type Shared = Arc<Mutex<store::Store>>;

struct Pinned(Shared, u64);

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.lock().unwrap().unpin(self.1);
    }
}

/// Reads some rows as they were when it began; the table of a new customer is empty.
async fn query(store: Shared, n: u64) -> usize {
    let at = store.lock().unwrap().pin(); // FAULT
    let _pinned = zoo::healthy().then(|| Pinned(store.clone(), at));
    let rows = if n % 700 == 150 { 0..0 } else { n * 7..n * 7 + 20 };
    if rows.is_empty() {
        return 0; // FAULT
    }
    let mut bytes = 0;
    for row in rows {
        bytes += store.lock().unwrap().read(row % 3_000, at).map_or(0, <[u8]>::len);
        if row % 5 == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    if !zoo::healthy() {
        store.lock().unwrap().unpin(at);
    }
    bytes
}

async fn update(store: Shared, n: u64) {
    sleep(Duration::from_millis(n % 4)).await;
    let value = vec![n as u8; 120 + (zoo::mix(n) % 300) as usize];
    store.lock().unwrap().write(zoo::mix(n) % 3_000, &value); // FAULT
}

#[tokio::main]
async fn main() {
    zoo::start();
    let store = Shared::default();
    let (queried, collected) = (store.clone(), store.clone());
    diag::spawn(zoo::every(25, move |n| drop(diag::spawn(query(queried.clone(), n)))));
    diag::spawn(zoo::every(400, move |_| collected.lock().unwrap().collect()));
    let mut n = 0;
    zoo::pace(800, || {
        n += 1;
        diag::spawn(update(store.clone(), n));
    })
    .await;
}
