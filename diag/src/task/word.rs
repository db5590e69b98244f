//! The one word of a slot in which everything is counted that other threads change.
//!
//! `wakes: 16 (wraps) | handles: 16 | flags: 8 | wakers: 24`. One word and not four, because the proof
//! that nothing can wake a task needs all of them as of one instant: read one after the other they
//! gave a hundred thousand false alarms in seconds.
//!
//! A count that nears its end pins the slot: it is never freed then, and nothing overflows.

/// One live clone of the task's waker.
pub(super) const WAKER: u64 = 1;
/// One handle, set entry or pin by a capture.
pub(super) const HANDLE: u64 = 1 << 32;
/// One wake.
pub(super) const WAKE: u64 = 1 << 48;

/// The task's future is not dropped yet.
pub(super) const OWNER: u64 = 1 << 24;
/// The slot owns one reference of the runtime's waker.
pub(super) const INNER: u64 = 1 << 25;
/// A capture asked for a poll, and the poll has not ended yet.
pub(super) const TRACE: u64 = 1 << 26;
/// Counts came near their ends; the slot stays for ever.
pub(super) const PINNED: u64 = 1 << 27;
/// Never to be polled by a capture.
pub(super) const UNTRACED: u64 = 1 << 28;
/// The runtime's waker is of an unknown make: the task is polled with that, and wakers are not counted.
pub(super) const FOREIGN: u64 = 1 << 29;
/// A handle was exchanged for tokio's own, so who cancels the task may be unknown.
pub(super) const LENT: u64 = 1 << 30;
/// The task is a `LocalSet`'s or a `LocalRuntime`'s.
pub(super) const LOCAL: u64 = 1 << 31;

const WAKERS: u64 = (1 << 24) - 1;
const HANDLES: u64 = 0xffff << 32;
/// Far from the end of each count by more threads than there can be between a look and a pin.
const MANY_WAKERS: u64 = 1 << 23;
const MANY_HANDLES: u64 = 1 << 47;

/// One value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(super) u64);

impl Word {
    /// True if this flag is set.
    #[inline]
    pub(super) fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    /// The task's future still exists.
    pub(crate) fn is_alive(self) -> bool {
        self.has(OWNER)
    }

    /// True if wakers were counted from the task's first poll on.
    #[inline]
    pub(crate) fn is_countable(self) -> bool {
        self.0 & (INNER | FOREIGN | PINNED) == INNER
    }

    /// True while a poll that a capture asked for has not ended. A task that ended owes none.
    #[inline]
    pub(super) fn is_owed_a_trace(self) -> bool {
        self.0 & (OWNER | TRACE) == OWNER | TRACE
    }

    /// True if no waker is left that could wake the task.
    #[inline]
    pub(super) fn is_lost(self) -> bool {
        self.is_countable() && self.0 & WAKERS == 0
    }

    /// True if a capture can and may ask for a poll.
    pub(crate) fn is_traceable(self) -> bool {
        self.0 & (INNER | FOREIGN | UNTRACED) == INNER
    }

    /// Live clones of the waker.
    pub(crate) fn wakers(self) -> u32 {
        (self.0 & WAKERS) as u32
    }

    /// Handles, set entries and pins.
    pub(crate) fn handles(self) -> u32 {
        ((self.0 & HANDLES) >> 32) as u32
    }

    /// Wakes so far, the lowest 16 bits.
    #[inline]
    pub(super) fn wakes(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// True if nothing holds the slot.
    #[inline]
    pub(super) fn is_unheld(self) -> bool {
        self.0 & (OWNER | PINNED | WAKERS | HANDLES) == 0
    }

    /// True if a count came so near to its end that the slot must be pinned.
    #[inline]
    pub(super) fn is_crowded(self) -> bool {
        self.0 & (MANY_WAKERS | MANY_HANDLES) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_do_not_touch_each_other() {
        let word = Word((OWNER | INNER) + 3 * WAKER + 2 * HANDLE + 65_535 * WAKE);
        assert_eq!((word.wakers(), word.handles(), word.wakes()), (3, 2, 65_535));
        let next = Word(word.0.wrapping_add(WAKE));
        assert_eq!((next.wakers(), next.handles(), next.wakes()), (3, 2, 0));
        assert!(next.is_alive() && next.has(INNER) && !next.is_unheld() && !next.is_crowded());
        assert!(Word(INNER + 7 * WAKE).is_unheld() && !Word(PINNED).is_unheld());
        assert!(Word(MANY_HANDLES).is_crowded() && Word(MANY_WAKERS).is_crowded());
    }
}
