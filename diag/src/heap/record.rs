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
use super::weight::Weight;
use crate::memory::{self, Zeroed};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A live sampled block, as the recorder keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Never reused; set by [`Records::begin`].
    pub(crate) birth: u64,
    /// The largest size that the block had; its size now if every block is recorded.
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
    /// The size up to which the tallies have counted it.
    counted: AtomicU64,
    link: AtomicU32,
    /// [`Weight`] of the size that the tallies have counted.
    weight: AtomicU32,
}

const _: () = assert!(cfg!(diag_loom) || size_of::<Record>() == 64);

/// What is left of a sample when its block is gone.
pub(super) struct Ended {
    pub(super) sample: Sample,
    /// Growth that no tally knows of.
    pub(super) uncounted_growth_bytes: u64,
    /// What it stood for, with its last size.
    pub(super) weight: Weight,
}

/// A change of size that is to be counted at once.
pub(super) struct Resized {
    pub(super) stack: u32,
    pub(super) task: u64,
    pub(super) from_bytes: u64,
    pub(super) to_bytes: u64,
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Record {}

impl Records {
    /// Address space that so many take.
    pub(super) const fn bytes(limit: u32) -> usize {
        limit as usize * size_of::<Record>()
    }

    /// How many there can be at once.
    pub(super) fn capacity(&self) -> u64 {
        self.table.len() as u64
    }

    /// An empty table of so many; `None` if there is no memory for it.
    pub(super) fn new(limit: u32) -> Option<Self> {
        let table = memory::zeroed(limit as usize)?;
        Some(Records { table, free: Pool::new(limit), next_birth: AtomicU64::new(1) })
    }

    /// Publishes a sample and gives it its birth number; `None` if the table is full.
    /// `weight` is that of its size.
    pub(super) fn begin(&self, sample: Sample, weight: Weight) -> Option<RecordId> {
        let id = self.free.take(|i| &self.table[i as usize].link)?;
        let birth = self.next_birth.fetch_add(1, Ordering::Relaxed);
        self.table[id as usize].publish(Sample { birth, ..sample }, weight);
        Some(RecordId(id))
    }

    /// The block has this size now. A shrink is forgotten, since the weight goes by the largest size; where
    /// every block is recorded all have the same weight, and their sizes are exact.
    ///
    /// Growth is counted when the block ends, for the sake of blocks that grow in many steps.
    #[inline]
    pub(super) fn resize(&self, id: RecordId, size: u64) -> Option<Resized> {
        // Only the owner of the block writes here, so this needs no exchange.
        let record = &self.table[id.0 as usize];
        let before = record.size.load(Ordering::Relaxed);
        if size > before {
            record.size.store(size, Ordering::Relaxed);
        }
        (record.rate.load(Ordering::Relaxed) == 0 && size != before)
            .then(|| record.resize_exactly(before, size))
    }

    /// The block is gone.
    pub(super) fn end(&self, id: RecordId) -> Ended {
        let record = &self.table[id.0 as usize];
        let ended = record.ended();
        record.withdraw();
        self.free.give(id.0, |i| &self.table[i as usize].link);
        ended
    }

    /// Growth of the live samples that no tally knows of yet.
    pub(super) fn uncounted_growth(&self) -> impl Iterator<Item = (Sample, u64)> {
        self.used().filter_map(|record| {
            let counted = record.counted.load(Ordering::Relaxed);
            record.read().map(|sample| (sample, sample.size_bytes.saturating_sub(counted)))
        })
    }

    /// The samples that live, in no order. Those born or freed meanwhile may be there or not.
    pub(super) fn live(&self) -> impl Iterator<Item = Sample> {
        self.used().filter_map(Record::read)
    }

    fn used(&self) -> impl Iterator<Item = &Record> {
        self.table[..self.free.high_water() as usize].iter()
    }

    /// The birth number that the next sample will get.
    pub(super) fn next_birth(&self) -> u64 {
        self.next_birth.load(Ordering::Relaxed)
    }
}

impl Record {
    fn publish(&self, sample: Sample, weight: Weight) {
        fence(Ordering::Release);
        self.size.store(sample.size_bytes, Ordering::Relaxed);
        self.counted.store(sample.size_bytes, Ordering::Relaxed);
        self.weight.store(weight.to_bits(), Ordering::Relaxed);
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
        let sample = self.fields();
        fence(Ordering::Acquire);
        // Another birth by now: this one's block was freed while we looked, so it is not live.
        (sample.birth != 0 && self.birth.load(Ordering::Relaxed) == sample.birth).then_some(sample)
    }

    fn fields(&self) -> Sample {
        Sample {
            birth: self.birth.load(Ordering::Acquire),
            size_bytes: self.size.load(Ordering::Relaxed),
            rate_bytes: self.rate.load(Ordering::Relaxed),
            task: self.task.load(Ordering::Relaxed),
            born_ns: self.born.load(Ordering::Relaxed),
            stack: self.stack.load(Ordering::Relaxed),
            thread: self.thread.load(Ordering::Relaxed),
        }
    }

    /// Read by the block's owner, who alone writes.
    fn ended(&self) -> Ended {
        let sample = self.fields();
        let growth = sample.size_bytes.saturating_sub(self.counted.load(Ordering::Relaxed));
        let weight = match growth {
            0 => Weight::from_bits(self.weight.load(Ordering::Relaxed)),
            _ => Weight::of(sample.size_bytes, sample.rate_bytes),
        };
        Ended { sample, uncounted_growth_bytes: growth, weight }
    }

    #[cold]
    fn resize_exactly(&self, from_bytes: u64, to_bytes: u64) -> Resized {
        self.size.store(to_bytes, Ordering::Relaxed);
        self.counted.store(to_bytes, Ordering::Relaxed);
        let Sample { stack, task, .. } = self.fields();
        Resized { stack, task, from_bytes, to_bytes }
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
            record.publish(sample(1), Weight::of(1, 0));
            let reader = {
                let record = Arc::clone(&record);
                thread::spawn(move || {
                    if let Some(seen) = record.read() {
                        assert_eq!(seen, sample(seen.birth));
                    }
                })
            };
            record.withdraw();
            record.publish(sample(2), Weight::of(2, 0));
            reader.join().unwrap();
        });
    }
}
