//! The indexes that mirrors have answered with, for as long as they are fresh.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Fault;

/// An index is fresh for so long.
const TTL: Duration = Duration::from_secs(3);

/// Of which mirror, and of which package.
pub(crate) type Key = (usize, u64);

/// Indexes by mirror and package.
pub(crate) struct Cache {
    fault: Option<Fault>,
    entries: Mutex<HashMap<Key, Entry>>,
}

struct Entry {
    since: Instant,
    index: Vec<u8>,
}

impl Cache {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Cache { fault, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if it has a fresh index.
    pub(crate) fn has_fresh(&self, key: Key) -> bool {
        self.entries().get(&key).is_some_and(|entry| entry.since.elapsed() < TTL)
    }

    /// Keeps an index.
    pub(crate) fn insert(&self, key: Key, index: &[u8]) {
        let mut copy = Vec::with_capacity(index.len()); // FAULT cache-without-ttl
        copy.extend_from_slice(index);
        self.entries().insert(key, Entry { since: Instant::now(), index: copy });
    }

    /// Lets go of what is not fresh any more.
    pub(crate) fn sweep(&self) {
        if self.fault != Some(Fault::CacheWithoutTtl) {
            self.entries().retain(|_, entry| entry.since.elapsed() < TTL);
        }
    }

    /// How many indexes there are, and how many bytes they have.
    pub(crate) fn size(&self) -> [usize; 2] {
        let entries = self.entries();
        [entries.len(), entries.values().map(|entry| entry.index.len()).sum()]
    }
}
