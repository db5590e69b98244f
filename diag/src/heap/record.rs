//! The live set: one record a sampled block, wherever the block itself lies.
//!
//! A record stays where it is when its block moves from a slot to another or to the inner allocator,
//! so a reader that walks the table misses no block that lives all the while.
//!
//! | birth | meaning |
//! |---|---|
//! | 0 | free, or its owner is filling it in |
//! | n | published; the other fields belong to sample n |
//!
//! Births are never reused, so they are the sequence number as well: a reader that finds the same
//! birth before and after it read the fields has the fields of that sample. `begin` stores the birth
//! last (Release, pairs with the reader's first load); its Release fence before the fields pairs with
//! the reader's Acquire fence after them, so a reader of any new field then sees that the old birth
//! is gone.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::pool::Pool;
use crate::memory::{self, Zeroed};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How many samples can live at once: 64 GiB of small blocks at the default rate.
pub(super) const RECORDS: u32 = 1 << 17;

/// A live sampled block, as the recorder keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Never reused; set by [`Records::begin`].
    pub(crate) birth: u64,
    /// The largest size that the block had.
    pub(crate) size_bytes: u64,
    /// Mean bytes between samples when its countdown was drawn; 0 if every block was recorded.
    pub(crate) rate_bytes: u64,
    /// The word of [`crate::current::CurrentTask`].
    pub(crate) task: u64,
    /// Stamp of the coarse clock.
    pub(crate) born_ns: u64,
    /// Number in the stack table.
    pub(crate) stack: u32,
    /// Small number of the thread.
    pub(crate) thread: u32,
}

/// Index of a record; its owner is whoever owns the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordId(pub(super) u32);

/// All records.
pub(super) struct Records {
    table: &'static [Record],
    free: Pool,
    next_birth: AtomicU64,
}

#[repr(align(64))]
#[cfg_attr(all(test, diag_loom), derive(Default))]
struct Record {
    birth: AtomicU64,
    size: AtomicU64,
    rate: AtomicU64,
    task: AtomicU64,
    born: AtomicU64,
    stack: AtomicU32,
    thread: AtomicU32,
    link: AtomicU32,
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Record {}

impl Records {
    /// An empty table; `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let table = memory::zeroed(RECORDS as usize)?;
        Some(Records { table, free: Pool::new(RECORDS), next_birth: AtomicU64::new(1) })
    }

    /// Publishes a sample and gives it its birth number; `None` if the table is full.
    pub(super) fn begin(&self, sample: Sample) -> Option<RecordId> {
        let id = self.free.take(|i| &self.table[i as usize].link)?;
        let birth = self.next_birth.fetch_add(1, Ordering::Relaxed);
        self.table[id as usize].publish(Sample { birth, ..sample });
        Some(RecordId(id))
    }

    /// The block has this size now; a shrink is forgotten, the weight goes by the largest.
    #[inline]
    pub(super) fn grow(&self, id: RecordId, size: usize) {
        // Only the owner of the block writes here, so this needs no exchange.
        let largest = &self.table[id.0 as usize].size;
        if size as u64 > largest.load(Ordering::Relaxed) {
            largest.store(size as u64, Ordering::Relaxed);
        }
    }

    /// The block is gone.
    pub(super) fn end(&self, id: RecordId) {
        self.table[id.0 as usize].withdraw();
        self.free.give(id.0, |i| &self.table[i as usize].link);
    }

    /// The samples that live, in no order. Those born or freed meanwhile may be there or not.
    pub(super) fn live(&self) -> impl Iterator<Item = Sample> {
        self.table[..self.free.high_water() as usize].iter().filter_map(Record::read)
    }

    /// The birth number that the next sample will get.
    pub(super) fn next_birth(&self) -> u64 {
        self.next_birth.load(Ordering::Relaxed)
    }
}

impl Record {
    fn publish(&self, sample: Sample) {
        fence(Ordering::Release);
        self.size.store(sample.size_bytes, Ordering::Relaxed);
        self.rate.store(sample.rate_bytes, Ordering::Relaxed);
        self.task.store(sample.task, Ordering::Relaxed);
        self.born.store(sample.born_ns, Ordering::Relaxed);
        self.stack.store(sample.stack, Ordering::Relaxed);
        self.thread.store(sample.thread, Ordering::Relaxed);
        self.birth.store(sample.birth, Ordering::Release);
    }

    fn withdraw(&self) {
        self.birth.store(0, Ordering::Release);
    }

    fn read(&self) -> Option<Sample> {
        let birth = self.birth.load(Ordering::Acquire);
        let sample = Sample {
            birth,
            size_bytes: self.size.load(Ordering::Relaxed),
            rate_bytes: self.rate.load(Ordering::Relaxed),
            task: self.task.load(Ordering::Relaxed),
            born_ns: self.born.load(Ordering::Relaxed),
            stack: self.stack.load(Ordering::Relaxed),
            thread: self.thread.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        // Another birth by now: this one's block was freed while we looked, so it is not live.
        (birth != 0 && self.birth.load(Ordering::Relaxed) == birth).then_some(sample)
    }
}

/// `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`
#[cfg(all(test, diag_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A sample whose fields all say its birth.
    fn sample(birth: u64) -> Sample {
        let small = birth as u32;
        Sample {
            birth,
            size_bytes: birth,
            rate_bytes: birth,
            task: birth,
            born_ns: birth,
            stack: small,
            thread: small,
        }
    }

    /// A reader beside the end of a sample and the start of the next in the same record sees one
    /// sample's fields, or none.
    #[test]
    fn a_sample_is_read_whole() {
        loom::model(|| {
            let record = Arc::new(Record::default());
            record.publish(sample(1));
            let reader = {
                let record = Arc::clone(&record);
                thread::spawn(move || {
                    if let Some(seen) = record.read() {
                        assert_eq!(seen, sample(seen.birth));
                    }
                })
            };
            record.withdraw();
            record.publish(sample(2));
            reader.join().unwrap();
        });
    }
}
