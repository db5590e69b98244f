//! All records of the process: one reserved address range, committed as it fills, trimmed as it empties.

use std::ops::RangeInclusive;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::free_bitmap::{CHUNK, FreeBitmap};
use super::record::TaskRecord;
use crate::core_layout::CORE_LAYOUT;
use crate::fork::Once;
use crate::health::Status;
use crate::memory::{self, Reserved};

/// Live tasks that can be followed, as powers of two: 16.7 million, 2 GiB of address space. Where that is limited a
/// quarter of the room for us, down to 8,192 tasks in a MiB.
const RECORD_BITS: RangeInclusive<u32> = 13..=24;
/// Chunks committed at once: 1 MiB of records.
const COMMIT: usize = 128;
const CHUNK_BYTES: usize = CHUNK * size_of::<TaskRecord>();

/// The records.
pub(crate) struct Slab {
    memory: Reserved,
    free: FreeBitmap,
    /// Chunks below this one are readable and writable.
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
    Some(SLAB.get()?.as_ref().map_or(0, |slab| (slab.free.len() * CHUNK) as u64))
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
        let chunks = records / CHUNK;
        let memory = Reserved::new(records * size_of::<TaskRecord>())?;
        let free = FreeBitmap::new(memory::zeroed(chunks)?, memory::zeroed(chunks.div_ceil(64))?);
        Some(Slab { memory, free, committed: AtomicU32::new(0) })
    }

    /// Free records of one chunk for the calling thread, as chunk and mask.
    pub(crate) fn take_chunk(&self) -> Option<(usize, u64)> {
        self.free.take(|chunk| self.prepare(chunk))
    }

    /// Commits everything up to the end of the step that `chunk` lies in. Two threads may do it at
    /// once: committing twice is harmless, and each goes on only when its own call has returned.
    fn prepare(&self, chunk: usize) -> bool {
        // Acquire: pairs with the Release below: what is marked is usable.
        let from = self.committed.load(Ordering::Acquire) as usize;
        if chunk < from {
            return true;
        }
        let to = (chunk / COMMIT + 1) * COMMIT;
        let ok = self.memory.commit(from * CHUNK_BYTES, (to - from) * CHUNK_BYTES);
        if ok {
            // Release, for the Acquire loads of the mark.
            self.committed.fetch_max(to as u32, Ordering::AcqRel);
            CORE_LAYOUT.tables.tasks.enter(self.memory.start().as_ptr().cast(), to * CHUNK);
        }
        ok
    }

    /// Record `bit` of `chunk`, which the caller has taken.
    #[inline]
    pub(crate) fn record(&self, chunk: usize, bit: usize) -> &'static TaskRecord {
        debug_assert!(chunk < self.free.used().next_multiple_of(COMMIT) && bit < CHUNK);
        // SAFETY: chunks are handed out by `take_chunk` after they were committed, the range is never
        // unmapped, and a record of zeros is a valid free record.
        unsafe { self.memory.start().cast::<TaskRecord>().add(chunk * CHUNK + bit).as_ref() }
    }

    /// The addresses that records may have.
    #[cfg(samples_heap)]
    pub(crate) fn addresses(&self) -> std::ops::Range<u64> {
        let start = self.memory.start().addr().get() as u64;
        // Acquire: pairs with the Release in `prepare`.
        start..start + (self.committed.load(Ordering::Acquire) as usize * CHUNK_BYTES) as u64
    }

    /// The record that lies there.
    #[cfg(samples_heap)]
    pub(crate) fn record_at(&'static self, address: u64) -> Option<&'static TaskRecord> {
        let addresses = self.addresses();
        let offset = address.checked_sub(addresses.start).filter(|_| address < addresses.end)? as usize;
        let index = offset / size_of::<TaskRecord>();
        let is_start = offset.is_multiple_of(size_of::<TaskRecord>());
        is_start.then(|| self.record(index / CHUNK, index % CHUNK))
    }

    /// Where a record of this slab lies.
    #[inline]
    pub(crate) fn place(&self, record: &TaskRecord) -> (usize, usize) {
        let offset = NonNull::from(record).addr().get() - self.memory.start().addr().get();
        let index = offset / size_of::<TaskRecord>();
        (index / CHUNK, index % CHUNK)
    }

    /// Gives records back that are cleared and that the caller owned.
    #[inline]
    pub(crate) fn give(&self, chunk: usize, mask: u64) {
        self.free.give(chunk, mask);
    }

    /// Every record that may hold a task, in memory order.
    pub(crate) fn records(&'static self) -> impl Iterator<Item = &'static TaskRecord> {
        // Acquire: pairs with the Release in `prepare`.
        let committed = self.committed.load(Ordering::Acquire) as usize;
        let taken = (0..self.free.used().min(committed)).filter(|&chunk| !self.free.is_free(chunk));
        taken.flat_map(move |chunk| (0..CHUNK).map(move |bit| self.record(chunk, bit)))
    }

    /// Hands the memory of wholly free chunks back to the system.
    pub(crate) fn trim(&self) {
        // Acquire: pairs with the Release in `prepare`.
        let committed = self.committed.load(Ordering::Acquire) as usize;
        for chunk in 0..self.free.used().min(committed) {
            self.free.trim(chunk, || {
                // SAFETY: `trim` keeps the chunk's mask empty meanwhile, so no thread owns a record of
                // it; a reader of a discarded record sees zeros, which is a free record. Refused, the records stay as
                // they are: cleared.
                unsafe { self.memory.discard(chunk * CHUNK_BYTES, CHUNK_BYTES) };
            });
        }
    }
}
