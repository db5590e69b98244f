//! Blocks for the census: what the hooks of the allocator do with those that are aligned to 128 bytes and more.
//!
//! They are charged and sampled as all others, and besides that entered in the census with their stack. A stack that was
//! there not long ago is known again; of unknown ones each thread walks so many a second, and an entry beyond that has
//! none. The entry itself is never left out for that.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::hook::{self, Fill};
use super::sampler;
use super::stacks::OTHER;
use super::tables::tables;
use crate::census::{self, Block, Ended, Free, Held, Origin};
use crate::dropped::Dropped;
use crate::stack::{self, Registers};
use crate::sys::errno;
use crate::{clock, current};

/// Blocks that are aligned less strictly are none of the census: one compare in each hook.
const LEAST_ALIGN: usize = 128;

/// Unknown stacks that a thread may walk in a window: 20,000 a second, which take 14 ms of it.
const WALKS: u32 = 2_000;
const WINDOW_NS: u64 = 100_000_000;

static NOT_TAKEN: Dropped = Dropped::new(
    "census_stacks_not_taken",
    "a task, channel or socket of a library has no call stack, as its thread met more unknown ones than it may walk",
);
static WITHOUT_STACK: Dropped = Dropped::new(
    "census_without_stack",
    "a task, channel or socket of a library has no call stack, which was not to be walked just then",
);

/// From the start of the process on, as much is spawned before anybody can choose.
static ON: AtomicBool = AtomicBool::new(true);

thread_local! {
    /// When this thread's window began, and how many walks are left in it. Plain words without a destructor.
    static WALKS_LEFT: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
    /// True if this thread plays the world outside of the service.
    static IS_OUTSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What the calling thread allocates from now on comes into no census: it plays the world outside of the service.
pub(super) fn leave_out_thread() {
    IS_OUTSIDE.set(true);
}

/// Whether blocks are entered from now on. Those that are in the census stay until they are freed.
pub(crate) fn keep_census(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// True for few blocks, which the functions below are for.
#[inline(always)]
pub(super) fn is_aligned(layout: Layout) -> bool {
    layout.align() >= LEAST_ALIGN
}

/// Allocates such a block.
///
/// # Safety
/// As for `GlobalAlloc::alloc` and `alloc_zeroed`.
#[inline(never)]
pub(super) unsafe fn alloc(inner: &impl GlobalAlloc, layout: Layout, fill: Fill) -> *mut u8 {
    let from = stack::registers();
    let block = if sampler::charge(layout.size()) {
        // SAFETY: by the promise of the caller.
        unsafe { hook::alloc_from(inner, layout, fill, from) }
    } else {
        // SAFETY: by the promise of the caller.
        unsafe { hook::obtain(inner, layout, fill) }
    };
    if !block.is_null() && census::has(layout) && is_entered() {
        enter(block, layout, from);
    }
    block
}

/// Resizes such a block, which keeps its entry if it may still hold a value.
///
/// # Safety
/// As for `GlobalAlloc::realloc`.
#[inline(never)]
pub(super) unsafe fn realloc(
    inner: &impl GlobalAlloc,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let from = stack::registers();
    let held = if census::has(layout) { census::hold(block.addr()) } else { Held::Unknown };
    match held {
        // SAFETY: by the promise of the caller.
        Held::Unknown => unsafe { hook::realloc_any(inner, block, layout, new_size, Some(from)) },
        Held::Moving(moving) => {
            // SAFETY: by the promise of the caller.
            let new = unsafe { hook::realloc_any(inner, block, layout, new_size, Some(from)) };
            if new.is_null() {
                moving.put_back();
            } else {
                // SAFETY: by the promise of the caller.
                let new_layout = unsafe { hook::with_size(layout, new_size) };
                if census::has(new_layout) {
                    let lost = errno::keep(|| moving.moved(new.expose_provenance(), new_layout));
                    lost.iter().for_each(census_lost);
                } else {
                    release(&moving.leave());
                }
            }
            new
        }
        // SAFETY: by the promise of the caller.
        Held::Pinned => unsafe { copy(inner, block, layout, new_size) },
    }
}

/// Resizes a block that somebody looks at, and that therefore stays until they are done: there is another one from now
/// on.
///
/// # Safety
/// As for `GlobalAlloc::realloc`.
#[cold]
unsafe fn copy(inner: &impl GlobalAlloc, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    // SAFETY: by the promise of the caller; two different blocks that both hold the smaller size, and the old one is done
    // with.
    unsafe {
        let new = alloc(inner, hook::with_size(layout, new_size), Fill::Any);
        if !new.is_null() {
            ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
            hook::dealloc(inner, block, layout);
        }
        new
    }
}

/// Takes a block out of the census that is about to be freed; true if somebody looks at it, and frees it then.
#[inline]
pub(super) fn end<A: GlobalAlloc>(inner: &A, block: *mut u8, layout: Layout) -> bool {
    if !census::has(layout) {
        return false;
    }
    // SAFETY: an allocator that has given blocks away is there for ever: it is the process's.
    let free = unsafe { Free::new(free_left::<A>, ptr::from_ref(inner).cast()) };
    match census::end(block.addr(), free) {
        Ended::Ours(block) => leave(&block),
        Ended::Unknown => {}
        Ended::Left => return true,
    }
    false
}

/// What is left of the free of a block that somebody has looked at.
///
/// # Safety
/// `inner` must be the allocator that the block came from, and the block done with.
unsafe fn free_left<A: GlobalAlloc>(inner: *const (), block: &Block) {
    leave(block);
    // SAFETY: by the promise of the caller.
    unsafe { hook::free(&*inner.cast::<A>(), ptr::with_exposed_provenance_mut(block.address), block.layout) };
}

#[cold]
fn census_lost(block: &Block) {
    census::count_refused();
    release(block);
}

/// A block has left the census as it is freed: that counts for its stack, which the census holds no more.
fn leave(block: &Block) {
    if let Some(tables) = tables() {
        if let Some(counters) = tables.stacks.census_of(block.stack) {
            counters.freed(clock::stamp_ns().saturating_sub(block.born_ns));
        }
        tables.stacks.release(block.stack);
    }
}

/// The census holds its stack no more, though nothing was freed.
fn release(block: &Block) {
    if let Some(tables) = tables() {
        tables.stacks.release(block.stack);
    }
}

/// Whether what this thread allocates is entered. The recorder's own is not, unless something is learnt from it, nor is the
/// cell of a task that has a record.
fn is_entered() -> bool {
    let is_of_service = || !sampler::is_hidden() && !IS_OUTSIDE.get() && !current::is_spawning();
    ON.load(Ordering::Relaxed) && (is_of_service() || census::is_learning())
}

fn enter(block: *mut u8, layout: Layout, from: Registers) {
    let born_ns = clock::coarse_ns();
    // What is made to learn from needs no stack.
    let stack = if census::is_learning() { OTHER } else { take_stack(from, born_ns) };
    let (address, thread) = (block.expose_provenance(), sampler::thread_number());
    let block = Block { address, layout, birth: 0, origin: origin(), born_ns, stack, thread };
    if !errno::keep(|| census::enter(block)) {
        release(&block);
    }
}

fn origin() -> Origin {
    let task = current::get();
    if task.id().is_some() {
        return Origin::Recorded(task);
    }
    match current::tokio_id_bits() {
        0 => Origin::Outside,
        bits => Origin::Unrecorded(bits),
    }
}

/// The number of the stack that begins there, which is held.
fn take_stack(from: Registers, now_ns: u64) -> u32 {
    // Before the start no stacks are taken.
    let Some(tables) = tables() else { return OTHER };
    if !stack::has_room(from.sp, hook::ROOM_FOR_REST) {
        WITHOUT_STACK.count();
        return OTHER;
    }
    let is_spent = Cell::new(false);
    let may_walk = || {
        let may = pay_for_walk(now_ns);
        is_spent.set(!may);
        may
    };
    hook::number_of_stack(tables, from, may_walk).unwrap_or_else(|| {
        if is_spent.get() {
            NOT_TAKEN.count()
        } else {
            WITHOUT_STACK.count()
        }
        OTHER
    })
}

/// True if this thread may walk one more stack.
fn pay_for_walk(now_ns: u64) -> bool {
    let (since_ns, left) = WALKS_LEFT.get();
    let is_over = now_ns.wrapping_sub(since_ns) >= WINDOW_NS;
    let (since_ns, left) = if is_over { (now_ns, WALKS) } else { (since_ns, left) };
    WALKS_LEFT.set((since_ns, left.saturating_sub(1)));
    left > 0
}
