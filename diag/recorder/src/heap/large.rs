//! The sampled blocks that stay in the inner allocator: a fixed table from address to record.
//!
//! A bucket is four words in one cache line and a key lives in the bucket of its hash or nowhere: a
//! look-up reads one line, a removal leaves nothing behind that would lengthen later ones, and a
//! full bucket refuses (at 10,000 live samples one block in 250,000). A word holds address and record
//! at once:
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | `address / 8 << 20 \| record` | the block at `address` is sampled |
//! | `HELD` | its block is being moved; the mover will put a key back or free the word |
//!
//! Everything is Relaxed: a key is entered, looked for and removed only by the owner of the block,
//! and handing a block to another thread orders those. Only *free words* are contended, by exchange.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::record::RecordId;
use crate::memory;
use crate::sync::atomic::{AtomicU64, Ordering};

const BUCKET: usize = 4;
const BUCKET_BITS: u32 = 16;
const RECORD_BITS: u32 = 20;
/// What the kernel gives to a process that does not ask for more.
const ADDRESS_BITS: u32 = 47;
const RECORD_MASK: u64 = (1 << RECORD_BITS) - 1;
/// The key of an address that no block can have.
const HELD: u64 = u64::MAX;

const _: () = assert!(ADDRESS_BITS - 3 + RECORD_BITS <= u64::BITS);

/// Sampled blocks of `LARGE` bytes and more.
pub(super) struct Large {
    buckets: &'static [[AtomicU64; BUCKET]; 1 << BUCKET_BITS],
}

impl Large {
    /// Address space that it takes.
    pub(super) const BYTES: usize = (BUCKET << BUCKET_BITS) * size_of::<AtomicU64>();

    /// An empty table; `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        Some(Large {
            buckets: memory::zeroed::<AtomicU64>(BUCKET << BUCKET_BITS)?.as_chunks().0.try_into().ok()?,
        })
    }

    /// Enters a block; false if its bucket is full or its address cannot be packed.
    pub(super) fn insert(&self, block: *mut u8, record: RecordId) -> bool {
        // What does not fit a word: no allocator gives such an address to a block of this size.
        if block.addr() & 7 != 0 || block.addr() >> ADDRESS_BITS != 0 {
            return false;
        }
        let key = key_of(block);
        let word = key << RECORD_BITS | u64::from(record.0);
        self.bucket(key)
            .iter()
            .any(|place| place.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed).is_ok())
    }

    /// The entry of a sampled block. Every free of a large block asks, and hardly ever one bucket in
    /// a hundred holds anything: all words of the line are seen before the one branch on that.
    #[inline]
    pub(super) fn find(&self, block: *mut u8) -> Option<Entry<'_>> {
        let key = key_of(block);
        let bucket = self.bucket(key);
        if bucket.iter().fold(0, |any, place| any | place.load(Ordering::Relaxed)) == 0 {
            return None;
        }
        // A free word and `HELD` have no block's key.
        let is_it = |place: &&AtomicU64| place.load(Ordering::Relaxed) >> RECORD_BITS == key;
        bucket.iter().find(is_it).map(|place| Entry { place })
    }

    /// The blocks that are entered, with their addresses and records, as far as nobody is at them just now.
    pub(super) fn entered(&self) -> impl Iterator<Item = (u64, RecordId)> {
        let words = self.buckets.iter().flatten().map(|place| place.load(Ordering::Relaxed));
        let known = words.filter(|&word| word != 0 && word != HELD);
        known.map(|word| (word >> RECORD_BITS << 3, RecordId((word & RECORD_MASK) as u32)))
    }

    #[inline]
    fn bucket(&self, key: u64) -> &[AtomicU64; BUCKET] {
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - BUCKET_BITS);
        &self.buckets[hash as usize]
    }
}

/// The place of a sampled block, for its owner.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    place: &'a AtomicU64,
}

impl<'a> Entry<'a> {
    /// The block's record.
    #[inline]
    pub(super) fn record(&self) -> RecordId {
        RecordId((self.place.load(Ordering::Relaxed) & RECORD_MASK) as u32)
    }

    /// Takes the block out.
    #[inline]
    pub(super) fn remove(self) {
        self.place.store(0, Ordering::Relaxed);
    }

    /// Takes the block's key out but keeps its place, for a move that may fail.
    #[inline]
    pub(super) fn hold(self) -> Held<'a> {
        // Only the owner of the block writes to a taken place, so this needs no exchange.
        let word = self.place.load(Ordering::Relaxed);
        self.place.store(HELD, Ordering::Relaxed);
        Held { place: self.place, word }
    }
}

/// A block's place while its key is out. Dropping it would lose the place: put back or release.
#[must_use]
pub(super) struct Held<'a> {
    place: &'a AtomicU64,
    word: u64,
}

impl Held<'_> {
    /// The block is still where it was.
    #[inline]
    pub(super) fn put_back(self) {
        self.place.store(self.word, Ordering::Relaxed);
    }

    /// The block is gone from there.
    #[inline]
    pub(super) fn release(self) {
        self.place.store(0, Ordering::Relaxed);
    }
}

/// The address without its three low bits; two live blocks of this size cannot share it.
#[inline]
fn key_of(block: *mut u8) -> u64 {
    block.addr() as u64 >> 3
}
