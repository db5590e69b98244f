//! How tasks ended whose sampled blocks live on: beside `current.rs` the other place where the task recorder and
//! the heap sampler meet.
//!
//! A task is in the table as long as a sampled block lives that it allocated: the sampler counts blocks in and
//! out. The recorder looks every ending task up, finds hardly any, and writes down how that one ended. An id's low
//! bits choose the bucket, which is one cache line, and the rest are in the word:
//!
//! | bits of a word | what |
//! |---|---|
//! | 0 to 19 | sampled blocks; the word is free without any |
//! | 20 to 22 | how the task ended: 0 while it lives (`completed.rs`) |
//! | 23 to 63 | the id's high bits |
//!
//! A task that finds its bucket full is not entered, and how it ended stays unknown. No lock, no allocation, nothing
//! that a fork could leave half done: each word stands for itself, so all of it is Relaxed.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use diag_snapshot::Outcome;

use crate::core_layout::CORE_LAYOUT;
use crate::dropped::Dropped;
use crate::fork::Once;
use crate::memory;
use crate::task::completed::{ended_as, ending_bits};

const BUCKET: usize = 8;
/// 131,072 tasks, as many as there are samples at the usual rate: 1 MiB, of which what is used is resident.
const BUCKETS: u64 = 1 << 14;
const END: u32 = 20;
const ID: u32 = 23;

static CROWDED: Dropped = Dropped::new(
    "task_ends_forgotten",
    "how a task ended of which a sampled block lives will not be known, as there was no room for it",
);
static OWNERS: Once<OwnerOutcomes> = Once::new();

/// Makes room for the table, once; without it, no outcome is known.
pub(crate) fn prepare() {
    if let Ok(owners) = OWNERS.get_or_try_init(|| OwnerOutcomes::new().ok_or(())) {
        let words = owners.buckets.as_flattened();
        CORE_LAYOUT.tables.owners.enter(words.as_ptr().cast(), words.len());
    }
}

/// A task allocated a sampled block.
pub(crate) fn enter(task: u64) {
    if let Some(owners) = OWNERS.get() {
        owners.enter(task);
    }
}

/// One of the task's sampled blocks is gone.
pub(crate) fn leave(task: u64) {
    if let Some(owners) = OWNERS.get() {
        owners.leave(task);
    }
}

/// A task has ended.
#[inline]
pub(crate) fn end(task: u64, outcome: Outcome) {
    if let Some(owners) = OWNERS.get() {
        owners.end(task, outcome);
    }
}

/// How a task ended of which a sampled block lives; none if it did not yet, or if that is not known.
pub(crate) fn outcome(task: u64) -> Option<Outcome> {
    OWNERS.get()?.outcome(task)
}

struct OwnerOutcomes {
    buckets: &'static [[AtomicU64; BUCKET]],
}

impl OwnerOutcomes {
    fn new() -> Option<Self> {
        Some(OwnerOutcomes { buckets: memory::zeroed::<AtomicU64>(BUCKET * BUCKETS as usize)?.as_chunks().0 })
    }

    fn bucket(&self, task: u64) -> &[AtomicU64; BUCKET] {
        &self.buckets[(task % BUCKETS) as usize]
    }

    fn enter(&self, task: u64) {
        if self.change(task, |word| word + 1) {
            return;
        }
        let word = high_bits(task) | 1;
        if !self.bucket(task).iter().any(|place| place.compare_exchange(0, word, Relaxed, Relaxed).is_ok()) {
            CROWDED.count();
        }
    }

    fn leave(&self, task: u64) {
        self.change(task, |word| if blocks(word) == 1 { 0 } else { word - 1 });
    }

    #[inline]
    fn end(&self, task: u64, outcome: Outcome) {
        // All words of the line are seen before the one branch on that.
        if self.bucket(task).iter().fold(0, |any, place| any | place.load(Relaxed)) != 0 {
            self.note(task, outcome);
        }
    }

    #[cold]
    fn note(&self, task: u64, outcome: Outcome) {
        let end = u64::from(ending_bits(outcome));
        self.change(task, |word| (word & !(0b111 << END)) | (end << END));
    }

    fn outcome(&self, task: u64) -> Option<Outcome> {
        let word =
            self.bucket(task).iter().map(|place| place.load(Relaxed)).find(|&word| is_of(word, task))?;
        ended_as(((word >> END) & 0b111) as u32)
    }

    /// Changes the task's word; false if it has none.
    fn change(&self, task: u64, change: impl Fn(u64) -> u64) -> bool {
        let change = |word| is_of(word, task).then(|| change(word));
        self.bucket(task).iter().any(|place| place.fetch_update(Relaxed, Relaxed, change).is_ok())
    }
}

fn blocks(word: u64) -> u64 {
    word & ((1 << END) - 1)
}

fn high_bits(task: u64) -> u64 {
    (task / BUCKETS) << ID
}

fn is_of(word: u64, task: u64) -> bool {
    word != 0 && word >> ID << ID == high_bits(task)
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    fn owners() -> OwnerOutcomes {
        OwnerOutcomes::new().expect("the test machine has a MiB")
    }

    #[test]
    fn an_outcome_is_known_as_long_as_a_block_lives() {
        let owners = owners();
        owners.enter(7);
        owners.enter(7);
        assert_eq!(owners.outcome(7), None);
        owners.end(7, Outcome::Panicked);
        assert_eq!(owners.outcome(7), Some(Outcome::Panicked));
        owners.leave(7);
        assert_eq!(owners.outcome(7), Some(Outcome::Panicked));
        owners.leave(7);
        assert_eq!(owners.outcome(7), None);
        assert!(owners.bucket(7).iter().all(|place| place.load(Relaxed) == 0), "its place is free");
    }

    #[test]
    fn a_task_without_blocks_leaves_no_trace() {
        let owners = owners();
        owners.end(7, Outcome::Done);
        owners.leave(7);
        owners.enter(7);
        assert_eq!(owners.outcome(7), None);
    }

    #[test]
    fn tasks_of_one_bucket_are_told_apart_and_a_ninth_is_left_out() {
        let owners = owners();
        let task = |n: u64| 5 + n * BUCKETS;
        (0..9).for_each(|n| owners.enter(task(n)));
        (0..9).for_each(|n| owners.end(task(n), if n % 2 == 0 { Outcome::Done } else { Outcome::Cancelled }));
        for n in 0..8 {
            let outcome = if n % 2 == 0 { Outcome::Done } else { Outcome::Cancelled };
            assert_eq!(owners.outcome(task(n)), Some(outcome));
        }
        assert_eq!(owners.outcome(task(8)), None);
        owners.leave(task(3));
        owners.enter(task(8));
        assert_eq!((owners.outcome(task(3)), owners.outcome(task(8))), (None, None));
        owners.end(task(8), Outcome::NeverPolled);
        assert_eq!(owners.outcome(task(8)), Some(Outcome::NeverPolled));
    }

    #[test]
    fn blocks_that_are_freed_by_other_threads_are_counted() {
        let owners = &owners();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for task in (0..500).map(|n| 1 + (thread * 500 + n) * (BUCKETS / 4)) {
                        (0..3).for_each(|_| owners.enter(task));
                        std::thread::scope(|other| {
                            other.spawn(move || owners.leave(task));
                            owners.end(task, Outcome::Done);
                            owners.leave(task);
                        });
                        owners.leave(task);
                    }
                });
            }
        });
        assert!(owners.buckets.iter().flatten().all(|place| place.load(Relaxed) == 0));
    }
}
