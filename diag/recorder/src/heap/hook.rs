//! The slow paths of the allocator: an allocation at a sampling point, and every block that may be a
//! sampled one.
//!
//! Small sampled blocks move into the region, blocks of `LARGE` bytes stay in the inner allocator and
//! are entered in a table. A sampled block stays sampled through every realloc, under one birth
//! number, until it is freed or shrinks to below its sampling point (`sampler.rs`). Whatever cannot be
//! kept (no slot, no place in the table) is an ordinary block of the inner allocator, and counted. A sample
//! is published when its block has its memory, so an allocation that fails leaves no trace. Nothing here
//! allocates, waits, formats or panics.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;

use super::aligned;
use super::large::Entry;
use super::record::{RecordId, Sample};
use super::region::{self, LARGE, Slot};
use super::sampler::{self, Point};
use super::scratch;
use super::stacks::{Held, OTHER};
use super::tables::{self, Pending, Reason, Tables, tables};
use crate::current;
use crate::dropped::Dropped;
use crate::stack::{self, Registers};
use crate::sys::errno;

/// Stack that a sample may need without its call stack.
pub(super) const ROOM_FOR_REST: u64 = 4 << 10;

static WITHOUT_STACK: Dropped = Dropped::new(
    "heap_samples_without_stack",
    "a heap sample has no call stack, which was not to be walked just then",
);

static NEAR_STACK_END: Dropped = Dropped::new(
    "heap_samples_near_stack_end",
    "a heap sample has no call stack, as too little of its thread's stack was left to take one",
);

/// Where a sampled block lies.
#[derive(Clone, Copy)]
pub(super) enum Home {
    /// In the region.
    Slot(Slot),
    /// In the inner allocator, and in the table.
    Large(Entry<'static>),
}

impl Home {
    #[inline]
    fn record(&self, tables: &Tables) -> RecordId {
        match self {
            Home::Slot(slot) => tables.region.record(*slot),
            Home::Large(entry) => entry.record(),
        }
    }
}

/// False for nearly all blocks that are neither sampled nor in the census.
#[inline(always)]
pub(super) fn may_be_known(block: *mut u8, layout: Layout) -> bool {
    aligned::is_aligned(layout) || region::may_hold(block) || layout.size() >= LARGE
}

/// Where this block lies, if it is sampled. Part of whoever asks: a call more is felt where blocks grow in steps.
#[inline(always)]
fn find(block: *mut u8, layout: Layout) -> Option<Home> {
    // Beside the region lie addresses that may be its own by that compare, and are not: a large block's, too.
    if region::may_hold(block)
        && let Some(slot) = tables()?.region.slot_of(block)
    {
        return Some(Home::Slot(slot));
    }
    if layout.size() < LARGE {
        return None;
    }
    tables()?.large.find(block).map(Home::Large)
}

/// Ends the sample of a block that is to be freed; true if the block was a slot, and is free now.
fn forget(tables: &Tables, home: Home) -> bool {
    match home {
        Home::Slot(slot) => {
            tables.end(tables.region.record(slot));
            tables.region.give(slot);
            true
        }
        Home::Large(entry) => {
            let record = entry.record();
            // Before the block goes back: from then on another thread may get the same address.
            entry.remove();
            tables.end(record);
            false
        }
    }
}

/// What a new block must hold.
#[derive(Clone, Copy)]
pub(super) enum Fill {
    /// Anything.
    Any,
    /// Zeros.
    Zero,
}

/// Allocates when the countdown has run out.
///
/// # Safety
/// As for `GlobalAlloc::alloc` and `alloc_zeroed`.
#[cold]
#[inline(never)]
pub(super) unsafe fn alloc(inner: &impl GlobalAlloc, layout: Layout, fill: Fill) -> *mut u8 {
    // SAFETY: by the promise of the caller.
    unsafe { alloc_from(inner, layout, fill, stack::registers()) }
}

/// The same, where the stack begins with the caller of the function that `from` was taken in.
///
/// # Safety
/// As for [`alloc`]. That function must not return before this does, hence it is part of it.
#[inline(always)]
pub(super) unsafe fn alloc_from(
    inner: &impl GlobalAlloc,
    layout: Layout,
    fill: Fill,
    from: Registers,
) -> *mut u8 {
    if sampler::is_hidden() {
        // SAFETY: by the promise of the caller.
        return unsafe { scratch::alloc(inner, layout, fill) };
    }
    let Some((tables, pending)) = begin(from, 0, layout.size(), Reason::New) else {
        // SAFETY: by the promise of the caller.
        return unsafe { obtain(inner, layout, fill) };
    };
    // SAFETY: by the promise of the caller.
    let block = unsafe { settle(inner, tables, Tenant::New(&pending), layout, fill) };
    if block.is_null() {
        tables.forgo(pending);
    }
    block
}

/// Frees a block that may be sampled or in the census. The hot path jumps here and saves no register for it.
///
/// # Safety
/// As for `GlobalAlloc::dealloc`.
#[inline(never)]
pub(super) unsafe fn dealloc(inner: &impl GlobalAlloc, block: *mut u8, layout: Layout) {
    if aligned::is_aligned(layout) && aligned::end(inner, block, layout) {
        return;
    }
    // SAFETY: by the promise of the caller.
    unsafe { free(inner, block, layout) }
}

/// The same for a block that is not in the census.
///
/// # Safety
/// As for `GlobalAlloc::dealloc`.
#[inline(always)]
pub(super) unsafe fn free(inner: &impl GlobalAlloc, block: *mut u8, layout: Layout) {
    if scratch::give_if_here(block, layout) {
        return;
    }
    if let Some(home) = find(block, layout)
        && tables().is_some_and(|tables| forget(tables, home))
    {
        return;
    }
    // SAFETY: by the promise of the caller, and the block is not a slot.
    unsafe { inner.dealloc(block, layout) }
}

/// Resizes a block that is not in the census. If its growth becomes a sample, its stack begins with the caller of the
/// function that `from` was taken in, or else with this one's.
///
/// # Safety
/// As for `GlobalAlloc::realloc`.
#[inline(always)]
pub(super) unsafe fn realloc_any(
    inner: &impl GlobalAlloc,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
    from: Option<Registers>,
) -> *mut u8 {
    if let Some(home) = find(block, layout) {
        // SAFETY: by the promise of the caller.
        return unsafe { realloc(inner, home, block, layout, new_size) };
    }
    if scratch::is_here(block, layout) {
        // SAFETY: by the promise of the caller.
        return unsafe { scratch::realloc(inner, block, layout, new_size) };
    }
    // Only growth is charged: a block that grows step by step is sampled as if made at once.
    if sampler::charge(new_size.saturating_sub(layout.size())) {
        // SAFETY: by the promise of the caller, and the block is not one of ours.
        return unsafe {
            match from {
                Some(from) => realloc_due_from(inner, block, layout, new_size, from),
                None => realloc_due(inner, block, layout, new_size),
            }
        };
    }
    // SAFETY: by the promise of the caller, and the block is not one of ours.
    unsafe { inner.realloc(block, layout, new_size) }
}

/// Resizes a sampled block.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the block must lie there.
#[cold]
#[inline(never)]
unsafe fn realloc(
    inner: &impl GlobalAlloc,
    home: Home,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let Some(tables) = tables() else { return ptr::null_mut() };
    if !tables.records.has_point_within(home.record(tables), new_size) {
        // SAFETY: by the promise of the caller; no point lies in fewer bytes, so the block shrinks.
        return unsafe { let_go(inner, tables, home, block, layout, new_size) };
    }
    match home {
        // SAFETY: by the promise of the caller; the block lies in that slot.
        Home::Slot(slot) => unsafe { resize_slot(inner, tables, slot, block, layout, new_size) },
        // SAFETY: by the promise of the caller; the entry is the block's.
        Home::Large(entry) => unsafe { resize_large(inner, tables, entry, block, layout, new_size) },
    }
}

/// Resizes a block that is not sampled, when its growth has made the countdown run out.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the block must be the inner allocator's and not sampled.
#[cold]
#[inline(never)]
unsafe fn realloc_due(inner: &impl GlobalAlloc, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    // SAFETY: by the promise of the caller.
    unsafe { realloc_due_from(inner, block, layout, new_size, stack::registers()) }
}

/// The same, as [`alloc_from`].
///
/// # Safety
/// As for [`realloc_due`].
#[inline(always)]
unsafe fn realloc_due_from(
    inner: &impl GlobalAlloc,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
    from: Registers,
) -> *mut u8 {
    if sampler::is_hidden() {
        // SAFETY: by the promise of the caller.
        return unsafe { scratch::realloc(inner, block, layout, new_size) };
    }
    let growth = new_size.saturating_sub(layout.size());
    let reason = Reason::Grown(growth as u64);
    let Some((tables, pending)) = begin(from, layout.size(), growth, reason) else {
        // SAFETY: by the promise of the caller.
        return unsafe { inner.realloc(block, layout, new_size) };
    };
    // SAFETY: by the promise of the caller.
    let new = unsafe { resize(inner, tables, Tenant::New(&pending), block, layout, new_size) };
    if new.is_null() {
        tables.forgo(pending);
    }
    new
}

/// Makes a sample if the countdown says so, of a block of `size` bytes that is to have `charged` more, which were
/// taken off it. The stack begins with the caller of the function that `from` was taken in, without the
/// hook's frames.
fn begin(from: Registers, size: usize, charged: usize, reason: Reason) -> Option<(&'static Tables, Pending)> {
    let Point { rate_bytes, offset } = sampler::decide(charged)?;
    let tables = tables()?;
    if !stack::has_room(from.sp, ROOM_FOR_REST) {
        tables::count_at_stack_end();
        return None;
    }
    let (stack, missing) = match number_of_stack(tables, from, || true) {
        Some(stack) => (stack, None),
        None if stack::has_room_to_walk(from.sp) => (OTHER, Some(&WITHOUT_STACK)),
        None => (OTHER, Some(&NEAR_STACK_END)),
    };
    let task = match reason {
        Reason::New => current::allocating(),
        // No cell grows: this is a queue of the runtime.
        Reason::Grown(_) => current::get(),
    };
    let sample = Sample {
        birth: 0,
        size_bytes: (size + charged) as u64,
        rate_bytes,
        task: task.word(),
        born_ns: crate::clock::coarse_ns(),
        stack,
        thread: sampler::thread_number(),
    };
    // Where every block is recorded, each stays so at any size.
    let point = if rate_bytes == 0 { 0 } else { size as u64 + offset };
    Some((tables, Pending { sample, missing, point, reason, record: tables.records.take() }))
}

/// The number of the stack that begins there, which is held, if it is known or may be walked.
pub(super) fn number_of_stack(tables: &Tables, from: Registers, may_walk: impl Fn() -> bool) -> Option<u32> {
    let new = |frames: &[u64]| tables.stacks.intern(frames).word();
    let again = |word| tables.stacks.hold(word).is_some();
    tables.unwinds.number(from, may_walk, new, again).map(Held::number_of)
}

/// Whose memory is sought.
#[derive(Clone, Copy)]
enum Tenant<'a> {
    /// That of a block which is to become a sample.
    New(&'a Pending),
    /// A sample's.
    Sampled(RecordId),
}

impl Tenant<'_> {
    /// None if there is no room for it.
    fn record(self) -> Option<RecordId> {
        match self {
            Tenant::New(pending) => pending.record,
            Tenant::Sampled(record) => Some(record),
        }
    }

    /// It has memory of this size now.
    fn has(self, tables: &Tables, size: usize) {
        match self {
            Tenant::New(pending) => publish(tables, pending),
            Tenant::Sampled(record) => tables.resize(record, size),
        }
    }
}

fn publish(tables: &Tables, pending: &Pending) {
    if let Some(why) = pending.missing {
        why.count();
    }
    tables.publish(pending);
}

/// Gives a block memory: a slot, or the inner allocator's and an entry. If that is null, nothing has
/// changed.
///
/// # Safety
/// As for `GlobalAlloc::alloc`.
unsafe fn settle(
    inner: &impl GlobalAlloc,
    tables: &Tables,
    tenant: Tenant<'_>,
    layout: Layout,
    fill: Fill,
) -> *mut u8 {
    if layout.size() < LARGE
        && let Some(block) = take_slot(tables, layout, tenant)
    {
        if let Fill::Zero = fill {
            // SAFETY: the slot is ours and holds at least `size` bytes.
            unsafe { ptr::write_bytes(block, 0, layout.size()) };
        }
        tenant.has(tables, layout.size());
        return block;
    }
    // SAFETY: by the promise of the caller.
    let block = unsafe { obtain(inner, layout, fill) };
    if !block.is_null() {
        tenant.has(tables, layout.size());
        enter_or_drop(tables, tenant, block, layout.size());
    }
    block
}

/// Resizes a block of the inner allocator that is to be, or stay, sampled. If the result is null,
/// nothing has changed.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the block must be the inner allocator's.
unsafe fn resize(
    inner: &impl GlobalAlloc,
    tables: &Tables,
    tenant: Tenant<'_>,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: by the promise of the caller.
    let new_layout = unsafe { with_size(layout, new_size) };
    if new_size < LARGE
        && let Some(new) = take_slot(tables, new_layout, tenant)
    {
        tenant.has(tables, new_size);
        // SAFETY: two different blocks that both hold the smaller size; the old one is done with.
        unsafe {
            ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
            inner.dealloc(block, layout);
        }
        return new;
    }
    // SAFETY: by the promise of the caller.
    let new = unsafe { inner.realloc(block, layout, new_size) };
    if !new.is_null() {
        tenant.has(tables, new_size);
        enter_or_drop(tables, tenant, new, new_size);
    }
    new
}

/// Shrinks a sampled block that loses its sampling point by that. The inner allocator has it from then on; if
/// that has no memory, a block of the region stays what it is and where it is.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the block must lie there and be larger than `new_size`.
#[cold]
#[inline(never)]
unsafe fn let_go(
    inner: &impl GlobalAlloc,
    tables: &Tables,
    home: Home,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let record = home.record(tables);
    match home {
        Home::Slot(slot) => {
            // SAFETY: by the promise of the caller; a layout of non-zero size.
            let new = unsafe { inner.alloc(with_size(layout, new_size)) };
            if new.is_null() {
                tables.resize(record, new_size);
                return block;
            }
            // SAFETY: two different blocks that both hold the smaller size.
            unsafe { ptr::copy_nonoverlapping(block, new, new_size) };
            tables.let_go(record);
            tables.region.give(slot);
            new
        }
        Home::Large(entry) => {
            // Out of the table first, as in `resize_large`.
            let held = entry.hold();
            // SAFETY: by the promise of the caller; the block is the inner allocator's.
            let new = unsafe { inner.realloc(block, layout, new_size) };
            if new.is_null() {
                held.put_back();
            } else {
                held.release();
                tables.let_go(record);
            }
            new
        }
    }
}

/// Resizes a block of the region: in place while it fits its slot.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the block must lie in `slot`.
#[cold]
#[inline(never)]
unsafe fn resize_slot(
    inner: &impl GlobalAlloc,
    tables: &Tables,
    slot: Slot,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let record = tables.region.record(slot);
    if new_size <= slot.capacity() {
        tables.resize(record, new_size);
        return block;
    }
    // SAFETY: by the promise of the caller; a layout of non-zero size.
    let new =
        unsafe { settle(inner, tables, Tenant::Sampled(record), with_size(layout, new_size), Fill::Any) };
    if !new.is_null() {
        // SAFETY: two different blocks; the old one holds `layout.size()` and the new one more.
        unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        tables.region.give(slot);
    }
    new
}

/// Resizes a sampled block of the inner allocator.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the entry must be the block's.
#[inline]
unsafe fn resize_large(
    inner: &impl GlobalAlloc,
    tables: &Tables,
    entry: Entry<'_>,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let record = entry.record();
    let tenant = Tenant::Sampled(record);
    // Out of the table first: once the inner allocator has moved the block, another thread may get
    // its old address.
    let held = entry.hold();
    if new_size < LARGE {
        // SAFETY: by the promise of the caller; the block is the inner allocator's.
        let new = unsafe { resize(inner, tables, tenant, block, layout, new_size) };
        if new.is_null() {
            held.put_back()
        } else {
            held.release()
        }
        return new;
    }
    // SAFETY: by the promise of the caller; the block is the inner allocator's.
    let new = unsafe { inner.realloc(block, layout, new_size) };
    if new.is_null() {
        held.put_back();
        return new;
    }
    tables.resize(record, new_size);
    if new == block {
        held.put_back();
    } else {
        held.release();
        enter_or_drop(tables, tenant, new, new_size);
    }
    new
}

/// The layout of a block that is resized.
///
/// # Safety
/// `new_size` with this alignment is a layout.
pub(super) unsafe fn with_size(layout: Layout, new_size: usize) -> Layout {
    // SAFETY: by the promise of the caller.
    unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) }
}

/// None without a record, too: nobody would know whose the slot is.
fn take_slot(tables: &Tables, layout: Layout, tenant: Tenant<'_>) -> Option<*mut u8> {
    let record = tenant.record()?;
    errno::keep(|| tables.region.take(layout, record))
}

/// A large block of the inner allocator now belongs to the tenant's record, if the table has room for it. A
/// small one never does: nobody would look for it when it is freed.
fn enter_or_drop(tables: &Tables, tenant: Tenant<'_>, block: *mut u8, size: usize) {
    if let Some(record) = tenant.record()
        && (size < LARGE || !tables.large.insert(block, record))
    {
        tables.drop_sample(record);
    }
}

/// As the inner allocator has it.
///
/// # Safety
/// As for `GlobalAlloc::alloc` and `alloc_zeroed`.
pub(super) unsafe fn obtain(inner: &impl GlobalAlloc, layout: Layout, fill: Fill) -> *mut u8 {
    match fill {
        // SAFETY: by the promise of the caller.
        Fill::Any => unsafe { inner.alloc(layout) },
        // SAFETY: by the promise of the caller.
        Fill::Zero => unsafe { inner.alloc_zeroed(layout) },
    }
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    /// A block that lies where no slot is, and that one compare takes for one.
    #[test]
    fn a_large_block_beside_the_region_is_found() {
        let _alone = crate::heap::estimate::alone();
        crate::heap::enable(crate::heap::DEFAULT_RATE_BYTES).expect("the test machine has address space");
        let tables = tables().expect("they are built");
        let record = tables.records.take().expect("there is room");
        let layout = Layout::new::<[u8; 50_000]>();
        // Never read or written: the table holds addresses.
        let block = tables.region.before();
        assert!(region::may_hold(block), "as close as that");
        assert!(find(block, layout).is_none());
        assert!(tables.large.insert(block, record));
        let found = find(block, layout).filter(|home| matches!(home, Home::Large(_)));
        assert_eq!(found.map(|home| home.record(tables)), Some(record), "it is in the table");
        assert!(tables.large.find(block).map(Entry::remove).is_some());
        tables.records.give(record);
    }
}
