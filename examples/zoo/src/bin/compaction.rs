//! Healthy only: a store in levels. A table of what was written is sealed every second and a half, six sealed ones are merged into
//! one of the next level, and three of those into the last, in which each key is once: every 27 s most of it goes, and in between
//! it grows in steps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod store {
    use std::collections::BTreeMap;

    pub(crate) type Table = BTreeMap<u64, Box<[u8]>>;

    #[derive(Default)]
    pub(crate) struct Levels {
        pub(crate) open: Table,
        pub(crate) sealed: Vec<Table>,
        pub(crate) merged: Vec<Table>,
        pub(crate) last: Table,
    }

    impl Levels {
        pub(crate) fn put(&mut self, key: u64, value: &[u8]) {
            zoo::held(1);
            if self.open.insert(key, value.into()).is_some() {
                zoo::held(-1);
            }
        }

        pub(crate) fn seal(&mut self) {
            let sealed = std::mem::take(&mut self.open);
            self.sealed.push(sealed);
        }
    }

    /// Merges tables, the newest last.
    pub(crate) fn merge(tables: Vec<Table>) -> Table {
        let before: usize = tables.iter().map(Table::len).sum();
        let mut merged = Table::new();
        for mut table in tables {
            merged.append(&mut table);
        }
        zoo::held(merged.len() as i64 - before as i64);
        merged
    }
}

type Shared = Arc<Mutex<store::Levels>>;

async fn compact(levels: Shared) {
    loop {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let sealed = {
            let mut levels = levels.lock().unwrap();
            levels.seal();
            if levels.sealed.len() < 6 {
                continue;
            }
            std::mem::take(&mut levels.sealed)
        };
        let Ok(merged) = diag::task::spawn_blocking(|| store::merge(sealed)).await else { continue };
        let tables = {
            let mut levels = levels.lock().unwrap();
            levels.merged.push(merged);
            if levels.merged.len() < 3 {
                continue;
            }
            let mut tables = vec![std::mem::take(&mut levels.last)];
            tables.append(&mut levels.merged);
            tables
        };
        if let Ok(last) = diag::task::spawn_blocking(|| store::merge(tables)).await {
            levels.lock().unwrap().last = last;
        }
    }
}

async fn write(levels: Shared, n: u64) {
    tokio::time::sleep(Duration::from_millis(n % 5)).await;
    let value = vec![n as u8; 150 + (n % 100) as usize];
    levels.lock().unwrap().put(zoo::mix(n) % 12_000, &value);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let levels = Shared::default();
    diag::spawn(compact(levels.clone()));
    let mut n = 0;
    zoo::pace(2_000, || {
        n += 1;
        diag::spawn(write(levels.clone(), n));
    })
    .await;
}
