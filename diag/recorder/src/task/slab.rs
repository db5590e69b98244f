//! All records of the process: one reserved address range, committed as it fills, trimmed as it empties.

use std::ops::RangeInclusive;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::groups::{GROUP, Groups};
use super::record::TaskRecord;
use crate::fork::Once;
use crate::health::Status;
use crate::memory::{self, Reserved};

/// Live tasks that can be followed, as powers of two: 16.7 million, 2 GiB of address space. Where that is limited a
/// quarter of the room for us, down to 8,192 tasks in a MiB.
const RECORD_BITS: RangeInclusive<u32> = 13..=24;
/// Groups committed at once: 1 MiB of records.
const COMMIT: usize = 128;
const GROUP_BYTES: usize = GROUP * size_of::<TaskRecord>();

/// The records.
pub(crate) struct Slab {
    memory: Reserved,
    groups: Groups,
    /// Groups below this one are readable and writable.
    committed: AtomicU32,
}

/// The slab of this process; `None` if the kernel gave no address space.
#[inline]
pub(crate) fn slab() -> Option<&'static Slab> {
    SLAB.get_or_init(Slab::reserve).as_ref()
}

static SLAB: Once<Option<Slab>> = Once::new();

/// How many tasks can be followed at once; `None` before the first.
pub(crate) fn capacity() -> Option<u64> {
    Some(SLAB.get()?.as_ref().map_or(0, |slab| (slab.groups.len() * GROUP) as u64))
}

/// Whether tasks are recorded.
pub(crate) fn status() -> Status {
    if capacity() == Some(0) {
        return Status::Failed("no memory, or no address space under its limit: tasks run unrecorded".into());
    }
    Status::Works
}

impl Slab {
    /// As many records as there is room for; `None` if the kernel gives not even the fewest.
    #[cold]
    fn reserve() -> Option<Self> {
        let room = memory::room() / 4;
        RECORD_BITS
            .rev()
            .filter(|bits| ((size_of::<TaskRecord>() as u64) << bits) <= room)
            .find_map(Slab::new)
    }

    fn new(bits: u32) -> Option<Self> {
        let records = 1 << bits;
        let groups = records / GROUP;
        let memory = Reserved::new(records * size_of::<TaskRecord>())?;
        let groups = Groups::new(memory::zeroed(groups)?, memory::zeroed(groups.div_ceil(64))?);
        Some(Slab { memory, groups, committed: AtomicU32::new(0) })
    }

    /// Free records of one group for the calling thread, as group and mask.
    pub(crate) fn take_group(&self) -> Option<(usize, u64)> {
        self.groups.take(|group| self.prepare(group))
    }

    /// Commits everything up to the end of the chunk that `group` lies in. Two threads may do it at
    /// once: committing twice is harmless, and each goes on only when its own call has returned.
    fn prepare(&self, group: usize) -> bool {
        let from = self.committed.load(Ordering::Acquire) as usize;
        if group < from {
            return true;
        }
        let to = (group / COMMIT + 1) * COMMIT;
        let ok = self.memory.commit(from * GROUP_BYTES, (to - from) * GROUP_BYTES);
        if ok {
            self.committed.fetch_max(to as u32, Ordering::AcqRel);
        }
        ok
    }

    /// TaskRecord `bit` of `group`, which the caller has taken.
    #[inline]
    pub(crate) fn record(&self, group: usize, bit: usize) -> &'static TaskRecord {
        debug_assert!(group < self.groups.used() && bit < GROUP);
        // SAFETY: groups are handed out by `take_group` after they were committed, the range is never
        // unmapped, and a record of zeros is a valid free record.
        unsafe { self.memory.start().cast::<TaskRecord>().add(group * GROUP + bit).as_ref() }
    }

    /// Where a record of this slab lies.
    #[inline]
    pub(crate) fn place(&self, record: &TaskRecord) -> (usize, usize) {
        let offset = NonNull::from(record).addr().get() - self.memory.start().addr().get();
        let index = offset / size_of::<TaskRecord>();
        (index / GROUP, index % GROUP)
    }

    /// Gives records back that are cleared and that the caller owned.
    #[inline]
    pub(crate) fn give(&self, group: usize, mask: u64) {
        self.groups.give(group, mask);
    }

    /// Every record that may hold a task, in memory order.
    pub(crate) fn records(&'static self) -> impl Iterator<Item = &'static TaskRecord> {
        let committed = self.committed.load(Ordering::Acquire) as usize;
        let taken = (0..self.groups.used().min(committed)).filter(|&group| !self.groups.is_free(group));
        taken.flat_map(move |group| (0..GROUP).map(move |bit| self.record(group, bit)))
    }

    /// Hands the memory of wholly free groups back to the system.
    pub(crate) fn trim(&self) {
        let committed = self.committed.load(Ordering::Acquire) as usize;
        for group in 0..self.groups.used().min(committed) {
            self.groups.trim(group, || {
                // SAFETY: `trim` keeps the group's mask empty meanwhile, so no thread owns a record of
                // it; a reader of a discarded record sees zeros, which is a free record. Refused, the records stay as
                // they are: cleared.
                unsafe { self.memory.discard(group * GROUP_BYTES, GROUP_BYTES) };
            });
        }
    }
}
