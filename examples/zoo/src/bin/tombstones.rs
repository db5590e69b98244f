//! The fault of smg#1686, and the danger of which chitchat#77 speaks: a key that is deleted leaves a tombstone, so that no peer
//! brings it back, and that is kept for good, since nothing runs the collection of those that all peers have seen. Keys live
//! for less than a second and never come back. A slow leak. The twin collects them once a second.

use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// What the nodes of a cluster tell each other.
mod gossip {
    use std::collections::BTreeMap;

    enum Value {
        Set(String),
        Deleted,
    }

    struct Versioned {
        value: Value,
        version: u64,
    }

    #[derive(Default)]
    pub(crate) struct State {
        values: BTreeMap<String, Versioned>,
        version: u64,
        /// The version that each peer has.
        acked: [u64; 3],
    }

    impl State {
        pub(crate) fn set(&mut self, key: String, value: String) {
            self.put(key, Value::Set(value)); // FAULT
        }

        pub(crate) fn delete(&mut self, key: String) {
            self.put(key, Value::Deleted); // FAULT
        }

        fn put(&mut self, key: String, value: Value) {
            self.version += 1;
            self.values.insert(key, Versioned { value, version: self.version }); // FAULT
        }

        /// What a peer does not have yet, in bytes.
        pub(crate) fn sync(&mut self, peer: usize) -> usize {
            let seen = std::mem::replace(&mut self.acked[peer], self.version);
            let newer = self.values.iter().rev().take(4_000).filter(|(_, value)| value.version > seen);
            newer.map(|(key, value)| key.len() + value.bytes()).sum()
        }

        /// Forgets the tombstones that every peer has.
        pub(crate) fn collect(&mut self) {
            let seen = self.acked.into_iter().min().unwrap_or(0);
            self.values.retain(|_, value| value.version > seen || matches!(value.value, Value::Set(_)));
        }

        pub(crate) fn len(&self) -> usize {
            self.values.len()
        }
    }

    impl Versioned {
        fn bytes(&self) -> usize {
            if let Value::Set(value) = &self.value { value.len() } else { 0 }
        }
    }
}

type Shared = Arc<Mutex<gossip::State>>;

async fn sync(state: Shared) {
    zoo::every(333, |n| {
        let mut state = state.lock().unwrap();
        state.sync(n as usize % 3);
        if zoo::healthy() && n % 3 == 0 {
            state.collect();
        }
        zoo::set_held(state.len() * 110);
    })
    .await;
}

/// A split of an index is published while it is made.
async fn split(state: Shared, id: u64) {
    let key = format!("indexing/split-{id:016x}/position");
    for position in 0..3 {
        let offset = format!("{:020}", id * 1_000 + position);
        state.lock().unwrap().set(key.clone(), offset); // FAULT
        tokio::time::sleep(std::time::Duration::from_millis(100 + zoo::mix(id) % 150)).await;
    }
    state.lock().unwrap().delete(key); // FAULT
}

async fn search(n: u64) -> usize {
    let hits: Vec<String> = (0..40).map(|hit| format!("{{\"doc\":{n},\"hit\":{hit}}}")).collect();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    hits.iter().map(String::len).sum()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let state = Shared::default();
    diag::spawn(sync(state.clone()));
    let mut id = 0;
    zoo::pace(700, || {
        id += 1;
        diag::spawn(split(state.clone(), id));
        if id % 4 == 0 {
            diag::spawn(search(id));
        }
    })
    .await;
}
