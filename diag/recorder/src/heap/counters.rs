//! What was allocated and freed since start, by stack and by spawn site, from the sampled blocks alone.
//!
//! A sampled block stands for `1 / p` blocks, `p` being the chance that one of its size is sampled, and
//! whoever meets it adds that much: only sampled blocks pay. All counters are Relaxed; a reader finds
//! each right by itself, not all of them as of one instant.
//!
//! Bytes are counted so that those allocated less those freed are what the live samples stand for: with
//! `e(s) = s / p(s)`, a block that becomes a sample at a size of `s` adds `e(s)` to those allocated, a sample
//! that grows from `s` to `t` adds `e(t) - e(s)`, and one that shrinks adds `e(s) - e(t)` to those freed, or `e(s)` if it
//! is no sample any more. In the mean each is the truth: growth adds `p(s) (e(t) - e(s))` by the samples and
//! `(p(t) - p(s)) e(t)` by those that become one, which is `t - s`; shrinking from `t` to `s`, `p(t) e(t) - p(s) e(s)`.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::weight::Weight;
use crate::core_layout::{Column, column};
use crate::memory::Zeroed;

/// Buckets of ages, by powers of two of a millisecond: the last begins at 140 minutes.
pub(crate) const AGE_BUCKETS: usize = 24;

/// Blocks are counted in 256ths, so that the rounding of what a large block stands for cannot add up.
const PARTS: u64 = 256;

/// The counters of one stack or site: two cache lines.
#[repr(C, align(64))]
#[cfg_attr(test, derive(Default))]
pub(super) struct HeapCounters {
    allocated_parts: AtomicU64,
    allocated_bytes: AtomicU64,
    freed_parts: AtomicU64,
    freed_bytes: AtomicU64,
    ages: [AtomicU32; AGE_BUCKETS],
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for HeapCounters {}

/// What a reader of cores is told of the counters.
pub(crate) const COUNTERS: &[Column] = &[
    column!(HeapCounters, "allocated_parts", allocated_parts),
    column!(HeapCounters, "allocated_bytes", allocated_bytes),
    column!(HeapCounters, "freed_parts", freed_parts),
    column!(HeapCounters, "freed_bytes", freed_bytes),
    column!(HeapCounters, "ages", ages, AGE_BUCKETS),
];
pub(crate) const COUNTERS_BYTES: usize = size_of::<HeapCounters>();

/// What a [`HeapCounters`] has counted: estimates, exact if every block is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) allocated_blocks: u64,
    /// Growth by reallocation included.
    pub(crate) allocated_bytes: u64,
    pub(crate) freed_blocks: u64,
    pub(crate) freed_bytes: u64,
    /// Sampled blocks that were freed, by the age they reached; not scaled.
    pub(crate) ages: [u32; AGE_BUCKETS],
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        self.allocated_blocks += other.allocated_blocks;
        self.allocated_bytes += other.allocated_bytes;
        self.freed_blocks += other.freed_blocks;
        self.freed_bytes += other.freed_bytes;
        self.ages.iter_mut().zip(other.ages).for_each(|(count, more)| *count = count.saturating_add(more));
    }
}

impl HeapCounters {
    /// A block was sampled when it was allocated.
    pub(super) fn allocated(&self, bytes: u64, weight: Weight) {
        add(&self.allocated_parts, weight.times(PARTS));
        add(&self.allocated_bytes, weight.times(bytes));
    }

    /// Blocks that were allocated before have grown by so much.
    pub(super) fn grown(&self, bytes: u64) {
        add(&self.allocated_bytes, bytes);
    }

    /// Blocks have shrunk by so much.
    pub(super) fn shrunk(&self, bytes: u64) {
        add(&self.freed_bytes, bytes);
    }

    /// A sampled block of this size was freed at this age.
    pub(super) fn freed(&self, bytes: u64, weight: Weight, age_ns: u64) {
        add(&self.freed_parts, weight.times(PARTS));
        add(&self.freed_bytes, weight.times(bytes));
        self.ages[bucket(age_ns)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts all of this there and not here. Nobody else counts here meanwhile.
    pub(super) fn move_to(&self, other: &HeapCounters) {
        for (word, to) in self.words().into_iter().zip(other.words()) {
            add(to, word.swap(0, Ordering::Relaxed));
        }
        for (count, to) in self.ages.iter().zip(&other.ages) {
            // Most are zero.
            if count.load(Ordering::Relaxed) > 0 {
                to.fetch_add(count.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    fn words(&self) -> [&AtomicU64; 4] {
        [&self.allocated_parts, &self.allocated_bytes, &self.freed_parts, &self.freed_bytes]
    }

    /// What was counted until now.
    pub(super) fn totals(&self) -> Totals {
        let blocks = |parts: &AtomicU64| (parts.load(Ordering::Relaxed) + PARTS / 2) / PARTS;
        Totals {
            allocated_blocks: blocks(&self.allocated_parts),
            allocated_bytes: self.allocated_bytes.load(Ordering::Relaxed),
            freed_blocks: blocks(&self.freed_parts),
            freed_bytes: self.freed_bytes.load(Ordering::Relaxed),
            ages: self.ages.each_ref().map(|count| count.load(Ordering::Relaxed)),
        }
    }
}

/// How many blocks of the census were freed that have one stack, by the age they reached: all of them, and not the sampled
/// ones alone. And what these blocks are, once somebody has looked into one. Two
/// cache lines.
#[repr(C, align(64))]
#[cfg_attr(test, derive(Default))]
pub(super) struct CensusCounters {
    /// Each stays at 2^31.
    ages: [AtomicU32; AGE_BUCKETS],
    kind: AtomicU32,
    spawner: AtomicU64,
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for CensusCounters {}

/// What a reader of cores is told of these.
pub(crate) const CENSUS_COUNTERS: &[Column] = &[
    column!(CensusCounters, "ages", ages, AGE_BUCKETS),
    column!(CensusCounters, "kind", kind),
    column!(CensusCounters, "spawner", spawner),
];
pub(crate) const CENSUS_COUNTERS_BYTES: usize = size_of::<CensusCounters>();

impl CensusCounters {
    /// A block was freed at this age.
    pub(super) fn freed(&self, age_ns: u64) {
        let count = &self.ages[bucket(age_ns)];
        if count.load(Ordering::Relaxed) < u32::MAX / 2 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted until now.
    pub(super) fn ages(&self) -> [u64; AGE_BUCKETS] {
        self.ages.each_ref().map(|count| count.load(Ordering::Relaxed).into())
    }

    /// What a reader has [said](CensusCounters::set_kind); 0 if nobody has.
    pub(super) fn kind(&self) -> u32 {
        self.kind.load(Ordering::Relaxed)
    }

    /// What the blocks of this stack are, in the reader's numbers.
    pub(super) fn set_kind(&self, kind: u32) {
        self.kind.store(kind, Ordering::Relaxed);
    }

    /// Who had them made, in a word of the [reader's](CensusCounters::set_spawner); 0 if nobody has said.
    pub(super) fn spawner(&self) -> u64 {
        self.spawner.load(Ordering::Relaxed)
    }

    /// Who had the blocks of this stack made.
    pub(super) fn set_spawner(&self, word: u64) {
        self.spawner.store(word, Ordering::Relaxed);
    }

    /// Counts nothing any more. Nobody else counts here meanwhile.
    pub(super) fn clear(&self) {
        self.kind.store(0, Ordering::Relaxed);
        self.spawner.store(0, Ordering::Relaxed);
        self.ages.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

fn bucket(age_ns: u64) -> usize {
    ((age_ns / 1_000_000).max(1).ilog2() as usize).min(AGE_BUCKETS - 1)
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_blocks_are_counted_exactly() {
        let counters = HeapCounters::default();
        [7, 0, 1 << 40].iter().for_each(|&bytes| counters.allocated(bytes, Weight::of(bytes, 0)));
        counters.grown(5);
        counters.freed(12, Weight::of(12, 0), 3_000_000);
        let mut ages = [0; AGE_BUCKETS];
        ages[1] = 1;
        let expected = Totals {
            allocated_blocks: 3,
            allocated_bytes: (1 << 40) + 12,
            freed_blocks: 1,
            freed_bytes: 12,
            ages,
        };
        assert_eq!(counters.totals(), expected);
    }

    #[test]
    fn a_sampled_block_stands_for_many() {
        let counters = HeapCounters::default();
        counters.allocated(64, Weight::of(64, 524_288));
        let totals = counters.totals();
        assert_eq!(totals.allocated_blocks, 8_193, "one in 8,192.5");
        assert_eq!(totals.allocated_bytes, 524_320);
    }

    #[test]
    fn blocks_of_the_census_are_counted_by_age() {
        let counters = CensusCounters::default();
        [0, 2_500_000, 2_500_001, u64::MAX].iter().for_each(|&age_ns| counters.freed(age_ns));
        counters.set_kind(7);
        counters.set_spawner(9);
        let ages = counters.ages();
        assert_eq!((ages[0], ages[1], ages[AGE_BUCKETS - 1], counters.kind()), (1, 2, 1, 7));
        counters.ages[1].store(u32::MAX / 2, Ordering::Relaxed);
        counters.freed(2_500_000);
        assert_eq!(counters.ages()[1], u64::from(u32::MAX / 2), "it does not begin anew");
        counters.clear();
        assert_eq!((counters.ages(), counters.kind(), counters.spawner()), ([0; AGE_BUCKETS], 0, 0));
    }

    #[test]
    fn no_age_is_beyond_the_last_bucket() {
        let counters = HeapCounters::default();
        [0, 999_999, 1_999_999, u64::MAX]
            .iter()
            .for_each(|&age_ns| counters.freed(1, Weight::of(1, 0), age_ns));
        let ages = counters.totals().ages;
        assert_eq!((ages[0], ages[AGE_BUCKETS - 1]), (3, 1));
    }
}
