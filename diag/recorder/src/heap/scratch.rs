//! Memory for what the recorder's own threads allocate while they capture, so that a capture leaves nothing behind in the
//! service's allocator: large free chunks there, which glibc keeps by tens of MiB, would look like growth of the service.
//!
//! A range of its own is cut into units. A block of [`LEAST`] bytes or more that a hidden thread allocates is a run of
//! them; its pages go back to the system when it is freed, by whichever thread, but for those of the first
//! [`KEPT_UNITS`], which hold what the next capture takes first: a page that comes from the system anew costs more than all
//! that a capture does with it. Blocks of that size take the slow path of a free in any case, where one compare tells
//! whose they are. Smaller blocks, and whatever finds no room, are the inner allocator's.
//!
//! | who | does | why nothing is lost |
//! |---|---|---|
//! | taker | claims `BUSY` or does without, finds a run of clear bits, sets them | nobody else sets bits |
//! | giver | discards the pages, or zeroes them where that is refused, then clears the bits (Release) | a taker that finds them clear (Acquire) finds zeros, or kept units, which it zeroes if it has to |
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::hook::Fill;
use super::region::LARGE;
use super::sampler;
use crate::memory::{self, Reserved};

/// Smaller blocks are not looked for here when they are freed.
pub(super) const LEAST: usize = LARGE;
const UNIT: usize = LEAST;
/// A GiB: a capture of a million tasks takes a quarter of it.
const MAX_UNITS: usize = 1 << 16;
const WORD: usize = u64::BITS as usize;
/// Units whose pages stay once they were written, 3 MiB: what a capture of 20,000 tasks has at one time.
const KEPT_UNITS: usize = (3 << 20) / UNIT;

static PREPARED: AtomicBool = AtomicBool::new(false);
static MEMORY: OnceLock<Reserved> = OnceLock::new();
/// First address, stored last; no block lies in a range of no bytes.
static START: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// A bit is set while its unit is part of a block.
static USED: [AtomicU64; MAX_UNITS / WORD] = [const { AtomicU64::new(0) }; MAX_UNITS / WORD];
/// One thread takes at a time.
static BUSY: AtomicBool = AtomicBool::new(false);
/// Units below this one can be written. For whoever is `BUSY`.
static COMMITTED: AtomicUsize = AtomicUsize::new(0);

/// Reserves the range, once: half of the room that is left to us. Without it, everything is the inner allocator's.
pub(super) fn prepare() {
    // A thread that comes meanwhile goes on without, and so does a child that was forked meanwhile.
    if !PREPARED.swap(true, Ordering::Relaxed) && super::is_linked() {
        reserve();
    }
}

fn reserve() {
    let bytes = (memory::room() / 2).min((MAX_UNITS * UNIT) as u64) as usize / UNIT * UNIT;
    if bytes < 64 * UNIT {
        return;
    }
    // Its first unit begins at a multiple of one.
    let Some(reserved) = Reserved::new(bytes) else { return };
    let start = reserved.start().as_ptr().addr().next_multiple_of(UNIT);
    let lost = start - reserved.start().as_ptr().addr();
    if MEMORY.set(reserved).is_ok() {
        BYTES.store((bytes - lost) / UNIT * UNIT, Ordering::Relaxed);
        // Release: pairs with `take`. Who frees has the block from a thread that has been there.
        START.store(start, Ordering::Release);
    }
}

/// True if the block was allocated here.
#[inline(always)]
pub(super) fn is_here(block: *mut u8, layout: Layout) -> bool {
    layout.size() >= LEAST
        && block.addr().wrapping_sub(START.load(Ordering::Relaxed)) < BYTES.load(Ordering::Relaxed)
}

/// Allocates for a hidden thread.
///
/// # Safety
/// As for `GlobalAlloc::alloc` and `alloc_zeroed`.
pub(super) unsafe fn alloc(inner: &impl GlobalAlloc, layout: Layout, fill: Fill) -> *mut u8 {
    if let Some(block) = take(layout) {
        if matches!(fill, Fill::Zero) {
            // SAFETY: a block of so many bytes, which is the caller's.
            unsafe { block.write_bytes(0, kept_bytes(block).min(layout.size())) };
        }
        return block;
    }
    match fill {
        // SAFETY: by the promise of the caller.
        Fill::Any => unsafe { inner.alloc(layout) },
        // SAFETY: by the promise of the caller.
        Fill::Zero => unsafe { inner.alloc_zeroed(layout) },
    }
}

/// Frees the block if it was allocated here; else it is still to be freed.
#[inline(always)]
pub(super) fn give_if_here(block: *mut u8, layout: Layout) -> bool {
    let is_here = is_here(block, layout);
    if is_here {
        give(block, units(layout.size()));
    }
    is_here
}

/// Resizes a block that was allocated here, or one of the inner allocator for a hidden thread.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; the block must not be sampled.
#[cold]
#[inline(never)]
pub(super) unsafe fn realloc(
    inner: &impl GlobalAlloc,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let is_here = is_here(block, layout);
    if is_here && new_size >= LEAST && units(new_size) == units(layout.size()) {
        return block;
    }
    // SAFETY: `new_size` with this alignment is a layout, by the promise of the caller.
    let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
    let taken = if sampler::is_hidden() { take(new_layout) } else { None };
    if taken.is_none() && !is_here {
        // SAFETY: by the promise of the caller, and the block is the inner allocator's.
        return unsafe { inner.realloc(block, layout, new_size) };
    }
    // SAFETY: a layout of non-zero size.
    let new = taken.unwrap_or_else(|| unsafe { inner.alloc(new_layout) });
    if new.is_null() {
        return new;
    }
    // SAFETY: two different blocks that both hold the smaller size.
    unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(new_size)) };
    if !give_if_here(block, layout) {
        // SAFETY: by the promise of the caller; the block is done with.
        unsafe { inner.dealloc(block, layout) };
    }
    new
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

/// How many bytes from here on may hold anything while they are free.
fn kept_bytes(block: *mut u8) -> usize {
    (START.load(Ordering::Relaxed) + KEPT_UNITS * UNIT).saturating_sub(block.addr())
}

/// A run of units for a block of this layout, which reads as zero but for its kept bytes; `None` if the block is small, or there is no room.
fn take(layout: Layout) -> Option<*mut u8> {
    // Acquire: pairs with `prepare`.
    let start = START.load(Ordering::Acquire);
    if layout.size() < LEAST || layout.align() > UNIT || start == 0 {
        return None;
    }
    // Acquire and Release: the committed part is that of whoever was here before.
    if BUSY.swap(true, Ordering::Acquire) {
        return None;
    }
    let units = units(layout.size());
    let first = free_run(units).filter(|first| commit(first + units));
    if let Some(first) = first {
        // Relaxed: only we set bits, and nobody gives what was just found free.
        each_word(first, units, |word, mask| {
            word.fetch_or(mask, Ordering::Relaxed);
        });
    }
    // Release: pairs with the swap above by whoever takes next.
    BUSY.store(false, Ordering::Release);
    Some(MEMORY.get()?.start().as_ptr().with_addr(start + first? * UNIT))
}

/// The first run of so many free units.
fn free_run(units: usize) -> Option<usize> {
    let end = BYTES.load(Ordering::Relaxed) / UNIT;
    let (mut first, mut at) = (0, 0);
    while at - first < units {
        if at == end {
            return None;
        }
        // Acquire: pairs with `give`; the pages of a free unit have been discarded.
        let used = USED[at / WORD].load(Ordering::Acquire) >> (at % WORD);
        if used & 1 == 1 {
            at += used.trailing_ones() as usize;
            first = at;
        } else {
            // Up to the end of the word, or of what is free of it.
            at = (at + (used.trailing_zeros() as usize).min(WORD - at % WORD)).min(end);
        }
    }
    Some(first)
}

/// Makes all units below `end` writable. What was committed once stays so, without pages.
fn commit(end: usize) -> bool {
    let committed = COMMITTED.load(Ordering::Relaxed);
    let Some(memory) = MEMORY.get().filter(|_| end > committed) else { return true };
    let lost = START.load(Ordering::Relaxed) - memory.start().as_ptr().addr();
    let done = memory.commit_for_now(lost + committed * UNIT, (end - committed) * UNIT);
    if done {
        COMMITTED.store(end, Ordering::Relaxed);
    }
    done
}

#[cold]
fn give(block: *mut u8, units: usize) {
    let Some(memory) = MEMORY.get() else { return };
    let kept = kept_bytes(block).min(units * UNIT);
    if kept < units * UNIT {
        let from = block.addr() - memory.start().as_ptr().addr();
        // SAFETY: the block is done with, and nobody else has its units until the bits are clear.
        unsafe {
            if !memory.discard(from + kept, units * UNIT - kept) {
                // Whoever takes them relies on zeros.
                block.add(kept).write_bytes(0, units * UNIT - kept);
            }
        }
    }
    let first = (block.addr() - START.load(Ordering::Relaxed)) / UNIT;
    // Release: pairs with `free_run`.
    each_word(first, units, |word, mask| {
        word.fetch_and(!mask, Ordering::Release);
    });
}

/// The words with the bits of a run, and the bits.
fn each_word(first: usize, units: usize, each: impl Fn(&AtomicU64, u64)) {
    let (mut at, end) = (first, first + units);
    while at < end {
        let here = (end - at).min(WORD - at % WORD);
        each(&USED[at / WORD], (u64::MAX >> (WORD - here)) << (at % WORD));
        at += here;
    }
}

#[cfg(all(test, not(diag_loom)))]
#[expect(clippy::disallowed_types, clippy::disallowed_macros, reason = "a test is no hook")]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::super::{Alloc, hide_thread};
    use super::*;

    static ALLOC: Alloc = Alloc::system();

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("a layout")
    }

    /// Held by a test that counts what is in use.
    fn alone() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        // The library's tests have another global allocator.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        reserve();
        turn
    }

    fn used_units() -> u32 {
        USED.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }

    /// Blocks of hidden threads and of others, resized and freed by either, hold what was written.
    #[test]
    fn blocks_hold_what_was_written() {
        let _alone = alone();
        let threads: Vec<_> = (1..=4_u64)
            .map(|seed| {
                std::thread::spawn(move || {
                    let (mut random, mut blocks) = (seed, Vec::new());
                    let mut below = |bound: u64| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        (random >> 33) % bound
                    };
                    let mut places = [0; 2];
                    // While one of us takes, the others do without: how often depends on who runs when.
                    for step in 0_u64.. {
                        if step >= 4_000 && (places.iter().all(|place| *place > 125) || step == 400_000) {
                            break;
                        }
                        let hidden = (below(3) > 0).then(hide_thread);
                        let size = below(200 << 10) as usize + 1;
                        let mark = step as u8 ^ seed as u8;
                        match below(3) {
                            // SAFETY: of non-zero size, and written within that.
                            0 => unsafe {
                                let block = ALLOC.alloc_zeroed(layout(size));
                                assert!((0..size).step_by(997).all(|at| *block.add(at) == 0));
                                block.write_bytes(mark, size);
                                places[usize::from(is_here(block, layout(size)))] += 1;
                                blocks.push((block, size, mark));
                            },
                            // SAFETY: with the layout that it has, and read within the smaller size.
                            1 if !blocks.is_empty() => unsafe {
                                let at = below(blocks.len() as u64) as usize;
                                let (block, before, mark): (*mut u8, usize, u8) = blocks[at];
                                let block = ALLOC.realloc(block, layout(before), size);
                                let kept = before.min(size);
                                assert!(
                                    (0..kept).step_by(997).all(|at| *block.add(at) == mark)
                                        && *block.add(kept - 1) == mark
                                );
                                block.write_bytes(mark, size);
                                blocks[at] = (block, size, mark);
                            },
                            2 if !blocks.is_empty() => {
                                let (block, size, mark) =
                                    blocks.swap_remove(below(blocks.len() as u64) as usize);
                                // SAFETY: with the layout that it has, and not used again.
                                unsafe {
                                    assert!((0..size).step_by(997).all(|at| *block.add(at) == mark));
                                    ALLOC.dealloc(block, layout(size));
                                }
                            }
                            _ => {}
                        }
                        drop(hidden);
                    }
                    // SAFETY: as above; this thread is not hidden now.
                    blocks
                        .into_iter()
                        .for_each(|(block, size, _)| unsafe { ALLOC.dealloc(block, layout(size)) });
                    places
                })
            })
            .collect();
        let places = threads.into_iter().map(|thread| thread.join().expect("it ends"));
        let [elsewhere, here] = places.fold([0; 2], |sum, more| [sum[0] + more[0], sum[1] + more[1]]);
        assert!(here > 500 && elsewhere > 500, "{here} here, {elsewhere} elsewhere");
        assert_eq!(used_units(), 0);
        let committed = COMMITTED.load(Ordering::Relaxed);
        assert!(committed > KEPT_UNITS + 100, "{committed} units");
        let first = START.load(Ordering::Relaxed) + KEPT_UNITS * UNIT;
        let mut resident = vec![0_u8; (committed - KEPT_UNITS) * UNIT / 4096];
        // SAFETY: a range of ours, and a byte for each of its pages.
        let asked = unsafe {
            libc::mincore(first as *mut libc::c_void, resident.len() * 4096, resident.as_mut_ptr())
        };
        assert_eq!((asked, resident.iter().filter(|page| **page & 1 == 1).count()), (0, 0), "pages are left");
    }

    /// The system gives locked memory back to nobody.
    #[test]
    fn what_cannot_be_given_back_is_zeroed() {
        let _alone = alone();
        let _hidden = hide_thread();
        let (kept, layout) = (layout(KEPT_UNITS * UNIT), layout(3 * UNIT));
        // SAFETY: of non-zero size, written within that, and freed with the layout that it has. Locking changes no memory.
        unsafe {
            let before = ALLOC.alloc(kept);
            let block = ALLOC.alloc(layout);
            assert!(is_here(before, kept) && is_here(block, layout) && kept_bytes(block) == 0);
            assert_eq!(libc::mlock(block.cast(), layout.size()), 0, "48 KiB may be locked");
            block.write_bytes(7, layout.size());
            ALLOC.dealloc(block, layout);
            let again = ALLOC.alloc_zeroed(layout);
            assert_eq!(again, block, "the first run that is free");
            assert!((0..layout.size()).all(|at| *again.add(at) == 0));
            libc::munlock(block.cast(), layout.size());
            ALLOC.dealloc(again, layout);
            ALLOC.dealloc(before, kept);
        }
        assert_eq!(used_units(), 0);
    }

    /// A block that begins among the kept units and ends beyond them reads as zero where that is asked for.
    #[test]
    fn what_is_kept_is_zeroed_for_who_wants_zeros() {
        let _alone = alone();
        let _hidden = hide_thread();
        let layout = layout((KEPT_UNITS + 2) * UNIT);
        // SAFETY: of non-zero size, written and read within that, and freed with the layout that it has.
        unsafe {
            let block = ALLOC.alloc(layout);
            assert!(is_here(block, layout) && kept_bytes(block) == KEPT_UNITS * UNIT);
            block.write_bytes(7, layout.size());
            ALLOC.dealloc(block, layout);
            let again = ALLOC.alloc_zeroed(layout);
            assert_eq!(again, block, "the first run that is free");
            assert!((0..layout.size()).all(|at| *again.add(at) == 0));
            ALLOC.dealloc(again, layout);
            // Kept, and as it was left: the negative control.
            let block = ALLOC.alloc(layout);
            block.write_bytes(7, UNIT);
            ALLOC.dealloc(block, layout);
            let again = ALLOC.alloc(layout);
            assert_eq!((again, *again), (block, 7));
            ALLOC.dealloc(again, layout);
        }
        assert_eq!(used_units(), 0);
    }

    #[test]
    fn a_run_is_found_across_words() {
        let masks = |first, units| {
            let sum = std::cell::Cell::new((0, 0));
            each_word(first, units, |_, mask| sum.set((sum.get().0 + 1, sum.get().1 + mask.count_ones())));
            sum.get()
        };
        assert_eq!(masks(0, 1), (1, 1));
        assert_eq!(masks(63, 2), (2, 2));
        assert_eq!(masks(0, 64), (1, 64));
        assert_eq!(masks(10, 200), (4, 200));
    }
}
