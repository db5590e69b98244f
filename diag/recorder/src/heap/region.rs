//! The address range in which small sampled blocks live, so that a free knows them by one compare.
//!
//! Nine size classes from 64 B to 16 KiB, the same number of slots each, laid out so that class `k`
//! begins at `first << k` from a base that lies `first` bytes before the range: the class of an
//! address is then the position of the highest bit of its offset. Slots are aligned to their size.
//! Pages are made usable in chunks and never given back one by one (that made blocks of this size
//! twenty times slower).
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::Layout;
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicUsize;

use super::pool::Pool;
use super::record::RecordId;
use crate::memory::{self, Reserved};
use crate::sync::atomic::{AtomicU32, Ordering};

/// Blocks from here on stay in the inner allocator and are found through the table of `large.rs`.
pub(super) const LARGE: usize = 16 * 1024;

const SMALLEST_BITS: u32 = 6;
const CLASSES: u32 = 9;
/// Slots a class, as powers of two: fewer for processes with little address space, and not so few that a class is
/// smaller than a page.
pub(super) const SLOT_BITS: RangeInclusive<u32> = 6..=17;
/// From the base to the end of the largest region.
const SPAN: usize = 1 << (SMALLEST_BITS + *SLOT_BITS.end() + CLASSES);
/// Made usable at once: few system calls, and few pages under `mlockall`.
const CHUNK: usize = 256 * 1024;
/// In the word of a slot that is taken: what else lies there is the link of a free one.
const TAKEN: u32 = 1 << 31;

/// Where the offsets count from. No pointer lies in the span that starts here before there is a region.
static BASE: AtomicUsize = AtomicUsize::new(1 << 63);

/// True for every block of the region, and hardly ever for another.
#[inline(always)]
pub(super) fn may_hold(block: *mut u8) -> bool {
    block.addr().wrapping_sub(BASE.load(Ordering::Relaxed)) < SPAN
}

/// The slots and who has them.
pub(super) struct Region {
    memory: Reserved,
    /// Offset of class 0 in `memory`: the first multiple of the largest slot.
    start: usize,
    slot_bits: u32,
    /// A slot's record while it is taken, the link of its class's pool while it is free.
    owners: &'static [AtomicU32],
    classes: [Class; CLASSES as usize],
}

struct Class {
    free: Pool,
    /// Bytes from the start of the class that are usable.
    committed: AtomicUsize,
}

/// A slot: its class and its index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    class: u32,
    index: u32,
}

impl Slot {
    /// How large a block it holds.
    #[inline]
    pub(super) fn capacity(self) -> usize {
        1 << (SMALLEST_BITS + self.class)
    }
}

/// Address space of a region of so many slots a class, without its owners.
const fn reserved_bytes(slot_bits: u32) -> usize {
    let first = 1 << (SMALLEST_BITS + slot_bits);
    (first << CLASSES) - first + LARGE
}

impl Region {
    /// Address space that [`reserve`](Region::reserve) takes, all in all.
    pub(super) const fn bytes(slot_bits: u32) -> usize {
        reserved_bytes(slot_bits) + ((CLASSES as usize) << slot_bits) * size_of::<AtomicU32>()
    }

    /// Reserves a region of so many slots a class; `None` if there is no address space for it.
    pub(super) fn reserve(slot_bits: u32) -> Option<Self> {
        let memory = Reserved::for_service(reserved_bytes(slot_bits))?;
        let address = memory.start().as_ptr().addr();
        let start = address.next_multiple_of(LARGE) - address;
        let owners = memory::zeroed((CLASSES << slot_bits) as usize)?;
        let classes = std::array::from_fn(|_| Class {
            free: Pool::new(1 << slot_bits),
            committed: AtomicUsize::new(0),
        });
        Some(Region { memory, start, slot_bits, owners, classes })
    }

    /// Makes this the region whose blocks every free knows. For the one that will be used, and before it is: who
    /// has a block of it must find it here.
    pub(super) fn publish(&self) {
        let first = 1 << (SMALLEST_BITS + self.slot_bits);
        // Relaxed: whoever has a block has it from a thread that found the tables, which are set after this.
        BASE.store(self.memory.start().as_ptr().addr() + self.start - first, Ordering::Relaxed);
    }

    /// Memory for a block of this layout in the name of `record`, with whatever its last tenant left
    /// in it; `None` if it is too large or too strictly aligned, or no slot is free that would do.
    pub(super) fn take(&self, layout: Layout, record: RecordId) -> Option<*mut u8> {
        (class_of(layout)?..CLASSES).find_map(|class| self.take_of(class, record))
    }

    fn take_of(&self, class: u32, record: RecordId) -> Option<*mut u8> {
        let pool = &self.classes[class as usize].free;
        let index = pool.take(|i| self.owner_of(Slot { class, index: i }))?;
        let slot = Slot { class, index };
        if !self.usable(slot) {
            self.give(slot);
            return None;
        }
        self.owner_of(slot).store(record.0 | TAKEN, Ordering::Relaxed);
        Some(self.memory.start().as_ptr().wrapping_add(self.start + self.offset(slot)))
    }

    /// Gives a slot back.
    pub(super) fn give(&self, slot: Slot) {
        let class = slot.class;
        self.classes[class as usize].free.give(slot.index, |i| self.owner_of(Slot { class, index: i }));
    }

    /// The slot that `block` lies in, if it lies in one.
    #[inline]
    pub(super) fn slot_of(&self, block: *mut u8) -> Option<Slot> {
        let first_bits = SMALLEST_BITS + self.slot_bits;
        let offset = block.addr().wrapping_sub(BASE.load(Ordering::Relaxed));
        let class = (offset >> first_bits).checked_ilog2().filter(|&class| class < CLASSES)?;
        let within = offset - (1 << (first_bits + class));
        Some(Slot { class, index: (within >> (SMALLEST_BITS + class)) as u32 })
    }

    /// An address that lies before the region, and not far.
    #[cfg(all(test, not(diag_loom)))]
    pub(super) fn before(&self) -> *mut u8 {
        self.memory.start().as_ptr().wrapping_add(self.start).wrapping_sub(1 << 20)
    }

    /// The record of a taken slot.
    #[inline]
    pub(super) fn record(&self, slot: Slot) -> RecordId {
        RecordId(self.owner_of(slot).load(Ordering::Relaxed) & !TAKEN)
    }

    /// The addresses of all slots.
    pub(super) fn addresses(&self) -> std::ops::Range<u64> {
        let start = (self.memory.start().as_ptr().addr() + self.start) as u64;
        start..start + (self.class_offset(CLASSES)) as u64
    }

    /// The slots that are taken, with their addresses and records, as far as nobody takes or gives them just now. For
    /// who looks the records up, and compares.
    pub(super) fn taken(&self) -> impl Iterator<Item = (u64, RecordId)> {
        let slots = (0..CLASSES).flat_map(|class| {
            let used = self.classes[class as usize].free.high_water();
            (0..used).map(move |index| Slot { class, index })
        });
        slots.filter_map(|slot| {
            let word = self.owner_of(slot).load(Ordering::Relaxed);
            let address = self.memory.start().as_ptr().addr() + self.start + self.offset(slot);
            (word & TAKEN != 0).then_some((address as u64, RecordId(word & !TAKEN)))
        })
    }

    #[inline]
    fn owner_of(&self, slot: Slot) -> &AtomicU32 {
        &self.owners[((slot.class << self.slot_bits) + slot.index) as usize]
    }

    /// From the start of the range: class 0 lies at 0, class k behind the `2^k - 1` parts before it.
    fn class_offset(&self, class: u32) -> usize {
        ((1 << class) - 1) << (SMALLEST_BITS + self.slot_bits)
    }

    fn offset(&self, slot: Slot) -> usize {
        self.class_offset(slot.class) + ((slot.index as usize) << (SMALLEST_BITS + slot.class))
    }

    /// Makes the slot's pages usable if they are not yet, and all before them: a thread with a lower
    /// slot may see the new mark before it has done so itself. Two threads may do the same at once.
    fn usable(&self, slot: Slot) -> bool {
        let mark = &self.classes[slot.class as usize].committed;
        // Acquire: pairs with the Release below: what is marked is usable.
        let committed = mark.load(Ordering::Acquire);
        let end = (slot.index as usize + 1) << (SMALLEST_BITS + slot.class);
        if end <= committed {
            return true;
        }
        let class_bytes = 1 << (SMALLEST_BITS + slot.class + self.slot_bits);
        let target = end.next_multiple_of(CHUNK).min(class_bytes);
        let done =
            self.memory.commit(self.start + self.class_offset(slot.class) + committed, target - committed);
        if done {
            // Release: pairs with the Acquire above.
            mark.fetch_max(target, Ordering::Release);
        }
        done
    }
}

/// The smallest class that fits size and alignment.
fn class_of(layout: Layout) -> Option<u32> {
    let bytes = layout.size().max(layout.align()).max(1 << SMALLEST_BITS);
    let class = bytes.next_power_of_two().ilog2() - SMALLEST_BITS;
    (class < CLASSES).then_some(class)
}
