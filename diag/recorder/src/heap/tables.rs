//! All that the sampler keeps, built once before the first sample and there for ever.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::counters::HeapCounters;
use super::large::Large;
use super::record::{Ended, RecordId, Records, Resized, Sample};
use super::region::{self, Region};
use super::stacks::Stacks;
use super::testing;
use super::weight::Weight;
use crate::core_layout::CORE_LAYOUT;
use crate::current::CurrentTask;
use crate::dropped::Dropped;
use crate::fork::Once;
use crate::memory;
use crate::owner_outcomes;
use crate::stack::{self, UnwindCache};

static TABLES: Once<Tables> = Once::new();
static DROPPED: Dropped = Dropped::new(
    "heap_samples_refused",
    "a block that should be a heap sample is none, as there was no room for another",
);
static AT_STACK_END: Dropped = Dropped::new(
    "heap_samples_at_stack_end",
    "a block that should be a heap sample is none, as next to nothing of its thread's stack was left",
);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Small sampled blocks of one size class, as a power of two.
    slot_bits: u32,
    /// Sampled blocks that live at once.
    records: u32,
    /// Words for call stacks, a power of two: 16 or 32 for most of them.
    stack_words: u32,
    /// Spawn sites that are told apart; those beyond share the first row, as site 0 does with the recorder.
    sites: u32,
}

impl Capacity {
    /// 64 GiB of small blocks at the default rate; 32,000 stacks of 25 frames.
    pub(super) const SAMPLES: Capacity = Capacity {
        slot_bits: *region::SLOT_BITS.end(),
        records: 1 << 17,
        stack_words: 1 << 20,
        sites: 1 << 14,
    };
    /// Where every block is recorded.
    pub(super) const ALL_BLOCKS: Capacity =
        Capacity { records: (1 << 20) - 1, stack_words: 1 << 23, ..Capacity::SAMPLES };

    /// The same with fewer slots, and of everything else no more than goes with them: a process with little address
    /// space has few samples.
    fn with_slots(self, slot_bits: u32) -> Capacity {
        Capacity {
            slot_bits,
            records: self.records.min(1 << (slot_bits + 4)),
            stack_words: self.stack_words.min(1 << (slot_bits + 9)),
            sites: self.sites.min(1 << (slot_bits + 4)),
        }
    }

    /// Address space that the tables take.
    fn bytes(self) -> usize {
        Large::BYTES
            + Records::bytes(self.records)
            + Stacks::bytes(self.stack_words)
            + UnwindCache::BYTES
            + self.sites as usize * size_of::<HeapCounters>()
            + Region::bytes(self.slot_bits)
    }

    /// This capacity and smaller ones, the largest first, as far as there is room for them: the sampler is the first
    /// that takes its part, and leaves three eighths to all others.
    fn within(self, room: u64) -> impl Iterator<Item = Capacity> {
        let sizes = region::SLOT_BITS.rev().map(move |slot_bits| self.with_slots(slot_bits));
        sizes.filter(move |capacity| capacity.bytes() as u64 <= room / 8 * 5)
    }
}

/// See the module.
pub(super) struct Tables {
    pub(super) region: Region,
    pub(super) large: Large,
    pub(super) records: Records,
    pub(super) stacks: Stacks,
    pub(super) unwinds: UnwindCache,
    /// By spawn site of the allocating task.
    sites: &'static [HeapCounters],
}

/// Builds the tables unless they are there, in whatever capacity; false if the system has no address space
/// for them.
pub(super) fn prepare(capacity: Capacity) -> bool {
    owner_outcomes::prepare();
    // One thread builds: a free knows the blocks of one region only.
    let build = || {
        let tables = Tables::new(capacity).ok_or(())?;
        // First: who finds the tables finds their blocks, too.
        tables.region.publish();
        Ok::<_, ()>(tables)
    };
    TABLES.get_or_try_init(build).inspect(|tables| tables.tell_cores()).is_ok()
}

/// The tables, once they are built.
#[inline]
pub(super) fn tables() -> Option<&'static Tables> {
    TABLES.get()
}

/// Blocks that should have been sampled and were not, because there was no room.
pub(super) fn dropped() -> u64 {
    DROPPED.times() + AT_STACK_END.times()
}

/// A block that should be a sample was met where not even that much stack is left.
#[cold]
pub(super) fn count_at_stack_end() {
    AT_STACK_END.count();
}

/// How a block came to be sampled.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    /// When it was allocated.
    New,
    /// When it grew by so many bytes.
    Grown(u64),
}

/// A sample whose block has no memory yet: nobody sees it, and nothing has been counted.
pub(super) struct Pending {
    /// It holds its stack until it is published or forgone; from then on the record does.
    pub(super) sample: Sample,
    /// What counts that it has no stack, unless it has one.
    pub(super) missing: Option<&'static Dropped>,
    /// The byte of the block at which its sampling point lies.
    pub(super) point: u64,
    pub(super) reason: Reason,
    /// None if there is no room.
    pub(super) record: Option<RecordId>,
}

impl Tables {
    /// As large as wanted, or as the address space allows; `None` if it allows none.
    fn new(wanted: Capacity) -> Option<Self> {
        wanted.within(memory::room()).find_map(Tables::of)
    }

    fn of(capacity: Capacity) -> Option<Self> {
        Some(Tables {
            // The largest part: if the kernel refuses, it refuses this, and nothing of the others is taken.
            region: Region::reserve(capacity.slot_bits)?,
            large: Large::new()?,
            records: Records::new(capacity.records)?,
            stacks: Stacks::new(capacity.stack_words)?,
            unwinds: UnwindCache::new()?,
            sites: memory::zeroed(capacity.sites as usize)?,
        })
    }

    /// Tells readers of cores where all of it is.
    fn tell_cores(&'static self) {
        self.records.tell_cores();
        self.stacks.tell_cores();
        CORE_LAYOUT.tables.site_totals.enter(self.sites.as_ptr().cast(), self.sites.len());
        let unwinder = stack::method();
        CORE_LAYOUT.tables.unwinder.enter(unwinder.as_ptr().cast(), unwinder.len());
    }

    /// Sampled blocks that can be kept at once.
    pub(super) fn capacity(&self) -> u64 {
        self.records.capacity()
    }

    /// Publishes a block that has become a sample, and now has its memory.
    pub(super) fn publish(&self, pending: &Pending) {
        let Pending { sample, point, reason, record, .. } = pending;
        let weight = Weight::of(sample.size_bytes, sample.rate_bytes);
        match *reason {
            Reason::New => {
                self.counters_of(sample).for_each(|counters| counters.allocated(sample.size_bytes, weight));
            }
            Reason::Grown(bytes) => {
                // Where every block is recorded, what it had before was allocated before that.
                let stands_for = if sample.rate_bytes == 0 { bytes } else { weight.times(sample.size_bytes) };
                self.counters_of(sample).for_each(|counters| counters.grown(stands_for));
            }
        }
        if sample.rate_bytes == 0 {
            let bytes = if let Reason::Grown(bytes) = *reason { bytes } else { sample.size_bytes };
            testing::note(sample.stack, bytes as usize);
        }
        let Some(record) = record else {
            self.stacks.release(sample.stack);
            return count_dropped();
        };
        self.records.publish(*record, *sample, weight, *point);
        if let Some(task) = CurrentTask::from_word(sample.task).id() {
            owner_outcomes::enter(task);
        }
    }

    /// There was no memory for the block.
    pub(super) fn forgo(&self, pending: Pending) {
        self.stacks.release(pending.sample.stack);
        if let Some(record) = pending.record {
            self.records.give(record);
        }
    }

    /// The sampled block has this size now.
    #[inline]
    pub(super) fn resize(&self, record: RecordId, size: usize) {
        if let Some(resized) = self.records.resize(record, size as u64) {
            self.count_resized(&resized);
        }
    }

    /// The sampled block is gone.
    pub(super) fn end(&self, record: RecordId) {
        let Ended { sample, uncounted_bytes, weight } = self.take_out(record);
        let age_ns = crate::clock::coarse_ns().saturating_sub(sample.born_ns);
        self.counters_of(&sample).for_each(|counters| {
            if uncounted_bytes > 0 {
                counters.grown(uncounted_bytes);
            }
            counters.freed(sample.size_bytes, weight, age_ns);
        });
        self.stacks.release(sample.stack);
    }

    /// The block lives on without its sampling point.
    pub(super) fn let_go(&self, record: RecordId) {
        let Ended { sample, uncounted_bytes, weight } = self.take_out(record);
        self.counters_of(&sample).for_each(|counters| {
            counters.grown(uncounted_bytes);
            counters.shrunk(weight.times(sample.size_bytes));
        });
        self.stacks.release(sample.stack);
    }

    /// The block is not sampled after all: whether and when it is freed will not be known.
    pub(super) fn drop_sample(&self, record: RecordId) {
        let Ended { sample, .. } = self.take_out(record);
        self.stacks.release(sample.stack);
        count_dropped();
    }

    fn take_out(&self, record: RecordId) -> Ended {
        let ended = self.records.end(record);
        if let Some(task) = CurrentTask::from_word(ended.sample.task).id() {
            owner_outcomes::leave(task);
        }
        ended
    }

    /// The numbers and counters of all spawn sites.
    pub(super) fn site_counters(&self) -> impl Iterator<Item = (u32, &HeapCounters)> {
        (0..).zip(self.sites)
    }

    #[cold]
    fn count_resized(&self, Resized { sample, grown_bytes, shrunk_bytes }: &Resized) {
        if *grown_bytes > 0 && sample.rate_bytes == 0 {
            testing::note(sample.stack, *grown_bytes as usize);
        }
        self.counters_of(sample).for_each(|counters| {
            counters.grown(*grown_bytes);
            counters.shrunk(*shrunk_bytes);
        });
    }

    /// The counters of a sample's stack, and of its task's site if there is a task.
    fn counters_of(&self, sample: &Sample) -> impl Iterator<Item = &HeapCounters> {
        let site = CurrentTask::from_word(sample.task).site();
        let of_site = site.map(|site| self.sites.get(site.0 as usize).unwrap_or(&self.sites[0]));
        [Some(self.stacks.counters_of(sample.stack)), of_site].into_iter().flatten()
    }
}

fn count_dropped() {
    DROPPED.count();
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn tables_are_as_large_as_there_is_room_for() {
        let chosen = |room: u64| Capacity::SAMPLES.within(room).next().map(|capacity| capacity.slot_bits);
        assert_eq!(chosen(u64::MAX), Some(17));
        assert_eq!([chosen(0), chosen(8 * MIB)], [None; 2]);
        // The least that the error speaks of.
        let least = chosen(12 * MIB).map(|slot_bits| Capacity::SAMPLES.with_slots(slot_bits).bytes() as u64);
        assert!(least.is_some_and(|bytes| bytes < 7 * MIB), "{least:?}");
        let mut last = 0;
        for room in (12..10_000).step_by(37) {
            let capacity = Capacity::SAMPLES.within(room * MIB).next().expect("some fit");
            assert!(capacity.bytes() as u64 <= room * MIB * 5 / 8 && capacity.slot_bits >= last, "{room}");
            last = capacity.slot_bits;
        }
    }
}
