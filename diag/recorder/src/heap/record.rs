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
use crate::core_layout::{CORE_LAYOUT, Table, column};
use crate::memory::{self, Zeroed};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A live sampled block, as the recorder keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Never reused; set by [`Records::begin`].
    pub(crate) birth: u64,
    /// The size that the block has now.
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
    /// The size at which the counters have counted it.
    counted: AtomicU64,
    /// The byte of the block at which its sampling point lies; as far as 32 bits go, and no rate in use leaves
    /// a block of 4 GiB without a point before that.
    point: AtomicU32,
    /// While it is in use, the [`Weight`] of the size that the counters have counted; else the pool's link.
    weight_or_link: AtomicU32,
}

const _: () = assert!(cfg!(diag_loom) || size_of::<Record>() == 64);

/// What is left of a sample that is none any more.
pub(super) struct Ended {
    pub(super) sample: Sample,
    /// What its growth, of which no counter knows, stands for.
    pub(super) uncounted_bytes: u64,
    /// What it stood for, with its last size.
    pub(super) weight: Weight,
}

/// A change of size that is to be counted at once.
pub(super) struct Resized {
    pub(super) sample: Sample,
    /// What the growth since the last time stands for.
    pub(super) grown_bytes: u64,
    /// The same of the shrinkage.
    pub(super) shrunk_bytes: u64,
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Record {}

/// What a reader of cores is told of the records; where they lie follows.
pub(crate) const fn samples() -> Table {
    let columns = [
        column!(Record, "birth", birth),
        column!(Record, "size", size),
        column!(Record, "rate", rate),
        column!(Record, "task", task),
        column!(Record, "born_ns", born),
        column!(Record, "stack", stack),
        column!(Record, "thread", thread),
        column!(Record, "counted", counted),
    ];
    Table::new("samples", size_of::<Record>(), &columns)
}

impl Records {
    /// Tells readers of cores where the records are.
    pub(super) fn tell_cores(&'static self) {
        CORE_LAYOUT.tables.samples.enter(self.table.as_ptr().cast(), self.table.len());
        CORE_LAYOUT.tables.samples.enter_mark(&self.next_birth);
    }

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

    /// A record that is the caller's; `None` if all are in use.
    pub(super) fn take(&self) -> Option<RecordId> {
        self.free.take(|i| &self.table[i as usize].weight_or_link).map(RecordId)
    }

    /// Gives a record back that was taken and not published, or that has ended.
    pub(super) fn give(&self, id: RecordId) {
        self.free.give(id.0, |i| &self.table[i as usize].weight_or_link);
    }

    /// Publishes a sample in a record that was taken, and gives it its birth number. `weight` is that of its
    /// size, `point` the byte at which its sampling point lies.
    pub(super) fn publish(&self, id: RecordId, sample: Sample, weight: Weight, point: u64) {
        let birth = self.next_birth.fetch_add(1, Ordering::Relaxed);
        let point = u32::try_from(point).unwrap_or(u32::MAX);
        self.table[id.0 as usize].publish(Sample { birth, ..sample }, weight, point);
    }

    /// True if a block of this size, into which the sample's block turns, has its sampling point.
    #[inline]
    pub(super) fn has_point_within(&self, id: RecordId, size: usize) -> bool {
        size as u64 > u64::from(self.table[id.0 as usize].point.load(Ordering::Relaxed))
    }

    /// The block has this size now. Growth is counted when the block ends, for the sake of blocks that grow
    /// in many steps, and sooner if it shrinks or every block is recorded.
    #[inline]
    pub(super) fn resize(&self, id: RecordId, size: u64) -> Option<Resized> {
        // Only the owner of the block writes here, so this needs no exchange.
        let record = &self.table[id.0 as usize];
        let before = record.size.load(Ordering::Relaxed);
        record.size.store(size, Ordering::Relaxed);
        let is_exact = record.rate.load(Ordering::Relaxed) == 0;
        (size < before || (is_exact && size != before)).then(|| record.count(before, size))
    }

    /// The block is gone, or has lost its sampling point.
    pub(super) fn end(&self, id: RecordId) -> Ended {
        let record = &self.table[id.0 as usize];
        let ended = record.ended();
        record.withdraw();
        self.give(id);
        ended
    }

    /// The live samples that have grown, each with what that growth stands for, of which no counter knows yet.
    pub(super) fn uncounted_growth(&self) -> impl Iterator<Item = (Sample, u64)> {
        self.used().filter_map(|record| {
            // Acquire: pairs with the Release in `count`; who sees a shrunk block's count sees its size.
            let counted = record.counted.load(Ordering::Acquire);
            let sample = record.read().filter(|sample| sample.size_bytes > counted)?;
            let grown = stands_for(sample.size_bytes, &sample).saturating_sub(stands_for(counted, &sample));
            Some((sample, grown))
        })
    }

    /// The samples that live, in no order. Those born or freed meanwhile may be there or not.
    pub(super) fn live(&self) -> impl Iterator<Item = Sample> {
        self.used().filter_map(Record::read)
    }

    /// The sample of a record; `None` if it has none.
    pub(super) fn sample(&self, id: RecordId) -> Option<Sample> {
        self.table.get(id.0 as usize)?.read()
    }

    fn used(&self) -> impl Iterator<Item = &Record> {
        self.table[..self.free.high_water() as usize].iter()
    }

    /// The birth number that the next sample will get.
    pub(super) fn next_birth(&self) -> u64 {
        self.next_birth.load(Ordering::Relaxed)
    }
}

/// What a block of this size stands for, that was sampled as `sample` was.
fn stands_for(bytes: u64, sample: &Sample) -> u64 {
    Weight::of(bytes, sample.rate_bytes).times(bytes)
}

impl Record {
    fn publish(&self, sample: Sample, weight: Weight, point: u32) {
        // Pairs with the fence of `read`: who sees a field of this sample finds another birth.
        fence(Ordering::Release);
        self.size.store(sample.size_bytes, Ordering::Relaxed);
        self.counted.store(sample.size_bytes, Ordering::Relaxed);
        self.weight_or_link.store(weight.to_bits(), Ordering::Relaxed);
        self.point.store(point, Ordering::Relaxed);
        self.rate.store(sample.rate_bytes, Ordering::Relaxed);
        self.task.store(sample.task, Ordering::Relaxed);
        self.born.store(sample.born_ns, Ordering::Relaxed);
        self.stack.store(sample.stack, Ordering::Relaxed);
        self.thread.store(sample.thread, Ordering::Relaxed);
        // Release: pairs with the Acquire in `fields`: the sample is whole.
        self.birth.store(sample.birth, Ordering::Release);
    }

    fn withdraw(&self) {
        // Release: what was counted for the sample comes before; pairs with the Acquire in `fields`.
        self.birth.store(0, Ordering::Release);
    }

    fn read(&self) -> Option<Sample> {
        let sample = self.fields();
        // Pairs with the fence of `publish`.
        fence(Ordering::Acquire);
        // Another birth by now: this one's block was freed while we looked, so it is not live.
        (sample.birth != 0 && self.birth.load(Ordering::Relaxed) == sample.birth).then_some(sample)
    }

    fn fields(&self) -> Sample {
        Sample {
            // Acquire: pairs with the Release of `publish`.
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
        let (weight, uncounted_bytes) = self.uncounted(&sample, sample.size_bytes);
        Ended { sample, uncounted_bytes, weight }
    }

    /// The weight of a block of `size`, and what growth to that stands for since it was counted.
    fn uncounted(&self, sample: &Sample, size: u64) -> (Weight, u64) {
        let counted = self.counted.load(Ordering::Relaxed);
        let known = Weight::from_bits(self.weight_or_link.load(Ordering::Relaxed));
        if size == counted {
            return (known, 0);
        }
        let weight = Weight::of(size, sample.rate_bytes);
        (weight, weight.times(size).saturating_sub(known.times(counted)))
    }

    #[cold]
    fn count(&self, from_bytes: u64, to_bytes: u64) -> Resized {
        let sample = self.fields();
        let largest = from_bytes.max(to_bytes);
        let (at_largest, grown_bytes) = self.uncounted(&sample, largest);
        let weight = Weight::of(to_bytes, sample.rate_bytes);
        self.weight_or_link.store(weight.to_bits(), Ordering::Relaxed);
        // Release: pairs with the Acquire in `uncounted_growth`, after the size was stored.
        self.counted.store(to_bytes, Ordering::Release);
        let shrunk_bytes = at_largest.times(largest).saturating_sub(weight.times(to_bytes));
        Resized { sample, grown_bytes, shrunk_bytes }
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
            record.publish(sample(1), Weight::of(1, 0), 0);
            let reader = {
                let record = Arc::clone(&record);
                thread::spawn(move || {
                    if let Some(seen) = record.read() {
                        assert_eq!(seen, sample(seen.birth));
                    }
                })
            };
            record.withdraw();
            record.publish(sample(2), Weight::of(2, 0), 0);
            reader.join().unwrap();
        });
    }
}
