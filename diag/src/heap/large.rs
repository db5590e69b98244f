//! The sampled blocks that stay in the inner allocator: a fixed table from address to record.
//!
//! A bucket is one cache line of eight words and a key lives in the bucket of its hash or nowhere, so
//! a look-up reads one line, a removal leaves nothing behind that would lengthen later ones, and a
//! full bucket refuses. A word holds address and record at once:
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | `address / 8 << 19 \| record` | the block at `address` is sampled |
//! | `HELD` | its block is being moved; the mover will put a key back or free the word |
//!
//! Everything is Relaxed: a key is entered, looked for and removed only by the owner of the block,
//! and handing a block to another thread orders those. Only *free words* are contended, by exchange.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::memory;
use super::record::{RECORDS, RecordId};
use crate::sync::atomic::{AtomicU64, Ordering};

const BUCKET: usize = 8;
const BUCKET_BITS: u32 = 14;
const RECORD_BITS: u32 = 19;
const RECORD_MASK: u64 = (1 << RECORD_BITS) - 1;
/// The key of an address that no block can have.
const HELD: u64 = u64::MAX;

const _: () = assert!(RECORDS as u64 <= RECORD_MASK);

/// Sampled blocks of `LARGE` bytes and more.
pub(super) struct Large {
    words: &'static [AtomicU64],
}

impl Large {
    /// An empty table; `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        Some(Large { words: memory::zeroed(BUCKET << BUCKET_BITS)? })
    }

    /// Enters a block; false if its bucket is full or its address cannot be packed.
    pub(super) fn insert(&self, block: *mut u8, record: RecordId) -> bool {
        let Some(key) = key_of(block) else { return false };
        let word = key << RECORD_BITS | u64::from(record.0);
        self.bucket(key)
            .iter()
            .any(|place| place.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed).is_ok())
    }

    /// Takes a block out; `None` if it is not sampled.
    pub(super) fn remove(&self, block: *mut u8) -> Option<RecordId> {
        let held = self.hold(block)?;
        let record = held.record();
        held.release();
        Some(record)
    }

    /// Takes a block's key out but keeps its place, for a move that may fail.
    pub(super) fn hold(&self, block: *mut u8) -> Option<Held<'_>> {
        let key = key_of(block)?;
        self.bucket(key).iter().find_map(|place| {
            let word = place.load(Ordering::Relaxed);
            (word >> RECORD_BITS == key && word != 0).then(|| {
                place.store(HELD, Ordering::Relaxed);
                Held { place, word }
            })
        })
    }

    fn bucket(&self, key: u64) -> &[AtomicU64] {
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - BUCKET_BITS);
        &self.words[hash as usize * BUCKET..][..BUCKET]
    }
}

/// A block's place while its key is out. Dropping it would lose the place: put back or release.
#[must_use]
pub(super) struct Held<'a> {
    place: &'a AtomicU64,
    word: u64,
}

impl Held<'_> {
    /// The block's record.
    pub(super) fn record(&self) -> RecordId {
        RecordId((self.word & RECORD_MASK) as u32)
    }

    /// The move failed: the block is where it was.
    pub(super) fn put_back(self) {
        self.place.store(self.word, Ordering::Relaxed);
    }

    /// The block is gone from there.
    pub(super) fn release(self) {
        self.place.store(0, Ordering::Relaxed);
    }
}

/// The address without its three low bits, if those are zero and 48 bits hold it.
fn key_of(block: *mut u8) -> Option<u64> {
    let address = block.addr() as u64;
    (address & 7 == 0 && address >> 48 == 0 && address != 0).then_some(address >> 3)
}
