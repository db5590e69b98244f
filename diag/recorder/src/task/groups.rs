//! Which records are free: groups of 64 with one mask each, handed between threads without a lock.
//!
//! A thread takes a whole group's free records at once (`swap(0)`), spawns from that private mask,
//! and gives a record back to the mask it came from (`fetch_or`), so tasks may end on any thread. No
//! list, no ABA, and a group that is wholly free can be given back to the system. A summary word
//! over 64 groups finds the lowest group with a free record in a few loads.
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

/// Records in a group.
pub(crate) const GROUP: usize = 64;

/// The free masks of a slab.
pub(crate) struct Groups {
    masks: &'static [AtomicU64],
    /// One bit a group: set if its mask may be non-empty.
    summary: &'static [AtomicU64],
    /// Groups that were ever taken; the ones above it are fresh.
    used: AtomicU32,
}

impl Groups {
    /// Masks of `masks.len()` groups, all fresh; `summary` has a bit for each. All zero.
    pub(crate) fn new(masks: &'static [AtomicU64], summary: &'static [AtomicU64]) -> Self {
        debug_assert!(summary.len() * 64 >= masks.len());
        Groups { masks, summary, used: AtomicU32::new(0) }
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.masks.len()
    }

    /// How many groups were ever taken.
    pub(crate) fn used(&self) -> usize {
        (self.used.load(Ordering::Acquire) as usize).min(self.masks.len())
    }

    /// Free records of one group, now the caller's: the lowest group that has some, else a fresh one
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
                summary.fetch_and(!(1 << bit), Ordering::AcqRel);
                let group = w * 64 + bit;
                let mask = self.masks[group].swap(0, Ordering::Acquire);
                if mask != 0 {
                    return Some((group, mask));
                }
            }
        }
        None
    }

    fn take_fresh(&self, prepare: impl FnOnce(usize) -> bool) -> Option<(usize, u64)> {
        let group = self.used.load(Ordering::Relaxed) as usize;
        if group >= self.masks.len() {
            return None;
        }
        let group = self.used.fetch_add(1, Ordering::AcqRel) as usize;
        (group < self.masks.len() && prepare(group)).then_some((group, !0))
    }

    /// Gives the records `mask` of `group` back, which the caller owned.
    #[inline]
    pub(crate) fn give(&self, group: usize, mask: u64) {
        if self.masks[group].fetch_or(mask, Ordering::Release) == 0 {
            self.summary[group / 64].fetch_or(1 << (group % 64), Ordering::Release);
        }
    }

    /// True if no record of the group is in use or in a thread's hands.
    pub(crate) fn is_free(&self, group: usize) -> bool {
        self.masks[group].load(Ordering::Relaxed) == !0
    }

    /// Runs `discard` on the group while nobody can take a record of it, if it is wholly free.
    pub(crate) fn trim(&self, group: usize, discard: impl FnOnce()) -> bool {
        let free = self.masks[group].compare_exchange(!0, 0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if free {
            discard();
            self.give(group, !0);
        }
        free
    }
}
