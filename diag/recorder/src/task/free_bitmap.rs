//! Which records are free: chunks of 64 with one mask each, handed between threads without a lock.
//!
//! A thread takes a whole chunk's free records at once (`swap(0)`), spawns from that private mask,
//! and gives a record back to the mask it came from (`fetch_or`), so tasks may end on any thread. No
//! list, no ABA, and a chunk that is wholly free can be given back to the system. A summary word
//! over 64 chunks finds the lowest chunk with a free record in a few loads.
//!
//! | who | order | why nothing is lost |
//! |---|---|---|
//! | take | clear summary bit, then `mask.swap(0)` | a giver that comes between finds the mask not empty, or empty and sets the bit anew |
//! | give | `mask.fetch_or`, then set the summary bit if the mask was empty | the bit may be set over an empty mask (a search in vain), never missing over a full one for good |
//! | trim | `mask: !0 -> 0`, discard the pages, give `!0` | while it is 0 nobody can take a record of it |
//!
//! `mask.swap(Acquire)` pairs with `mask.fetch_or(Release)`: who takes a record sees all that its last
//! owner wrote.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Records in a chunk.
pub(crate) const CHUNK: usize = 64;

/// The free masks of a slab.
pub(crate) struct FreeBitmap {
    masks: &'static [AtomicU64],
    /// One bit a chunk: set if its mask may be non-empty.
    summary: &'static [AtomicU64],
    /// Chunks that were ever taken; the ones above it are fresh.
    used: AtomicU32,
}

impl FreeBitmap {
    /// Masks of `masks.len()` chunks, all fresh; `summary` has a bit for each. All zero.
    pub(crate) fn new(masks: &'static [AtomicU64], summary: &'static [AtomicU64]) -> Self {
        debug_assert!(summary.len() * 64 >= masks.len());
        FreeBitmap { masks, summary, used: AtomicU32::new(0) }
    }

    /// How many chunks there are.
    pub(crate) fn len(&self) -> usize {
        self.masks.len()
    }

    /// How many chunks were ever taken.
    pub(crate) fn used(&self) -> usize {
        // Acquire: pairs with the increment in `take_fresh`.
        (self.used.load(Ordering::Acquire) as usize).min(self.masks.len())
    }

    /// Free records of one chunk, now the caller's: the lowest chunk that has some, else a fresh one
    /// that `prepare` has to make usable. `None` if there is none or `prepare` could not.
    pub(crate) fn take(&self, prepare: impl FnOnce(usize) -> bool) -> Option<(usize, u64)> {
        self.take_used().or_else(|| self.take_fresh(prepare))
    }

    fn take_used(&self) -> Option<(usize, u64)> {
        let words = self.used().div_ceil(64);
        for (w, summary) in self.summary[..words].iter().enumerate() {
            loop {
                let bits = summary.load(Ordering::Relaxed);
                if bits == 0 {
                    break;
                }
                let bit = bits.trailing_zeros() as usize;
                // AcqRel: before the mask is taken, so that a giver in between sets it anew; pairs with `give`.
                summary.fetch_and(!(1 << bit), Ordering::AcqRel);
                let chunk = w * 64 + bit;
                // Acquire: pairs with the Release of `give`.
                let mask = self.masks[chunk].swap(0, Ordering::Acquire);
                if mask != 0 {
                    return Some((chunk, mask));
                }
            }
        }
        None
    }

    fn take_fresh(&self, prepare: impl FnOnce(usize) -> bool) -> Option<(usize, u64)> {
        let chunk = self.used.load(Ordering::Relaxed) as usize;
        if chunk >= self.masks.len() {
            return None;
        }
        // AcqRel: pairs with the Acquire in `used`.
        let chunk = self.used.fetch_add(1, Ordering::AcqRel) as usize;
        (chunk < self.masks.len() && prepare(chunk)).then_some((chunk, !0))
    }

    /// Gives the records `mask` of `chunk` back, which the caller owned.
    #[inline]
    pub(crate) fn give(&self, chunk: usize, mask: u64) {
        // Release: pairs with the Acquire of whoever takes these records.
        if self.masks[chunk].fetch_or(mask, Ordering::Release) == 0 {
            // Release: pairs with `take_used`, which finds the mask filled.
            self.summary[chunk / 64].fetch_or(1 << (chunk % 64), Ordering::Release);
        }
    }

    /// True if no record of the chunk is in use or in a thread's hands.
    pub(crate) fn is_free(&self, chunk: usize) -> bool {
        self.masks[chunk].load(Ordering::Relaxed) == !0
    }

    /// Runs `discard` on the chunk while nobody can take a record of it, if it is wholly free.
    pub(crate) fn trim(&self, chunk: usize, discard: impl FnOnce()) -> bool {
        // Acquire: pairs with the Release of `give`, whose records are discarded now.
        let free = self.masks[chunk].compare_exchange(!0, 0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if free {
            discard();
            self.give(chunk, !0);
        }
        free
    }
}
