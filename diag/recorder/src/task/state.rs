//! The one word of a record in which everything is counted that other threads change.
//!
//! `wakes: 16 (wraps) | handles: 16 | flags: 10 | wakers: 22`. One word and not four, because the proof
//! that nothing can wake a task needs all of them as of one instant: read one after the other they
//! gave a hundred thousand false alarms in seconds.
//!
//! No count runs into its neighbor. From half of its range on, a further waker is one of the runtime's own
//! and a further handle none of ours, so neither is counted here and both stay what they are to the service.
//! Wakes wrap at the top of the word; two flags tell a poll that they may have come round since the last one.

/// One live clone of the task's waker.
pub(super) const WAKER: u64 = 1;
/// One handle, set entry or pin by a capture.
pub(super) const HANDLE: u64 = 1 << 32;
/// One wake.
pub(super) const WAKE: u64 = 1 << 48;

/// The task has labels, which its polls put in force, or may get some of the spans that it is polled in.
pub(super) const LABELLED: u64 = 1 << 22;
/// The task's future is not dropped yet.
pub(super) const OWNER: u64 = 1 << 23;
/// The record owns one reference of the runtime's waker.
pub(super) const RUNTIME_WAKER: u64 = 1 << 24;
/// A capture asked for a poll, and the poll has not ended yet.
pub(super) const TRACE: u64 = 1 << 25;
/// Never to be polled by a capture.
pub(super) const UNTRACED: u64 = 1 << 26;
/// Some of the task's wakers are not counted here: the runtime's is of an unknown make, or there were too many.
pub(super) const FOREIGN: u64 = 1 << 27;
/// A handle is not counted here, so who cancels the task may be unknown.
pub(super) const UNCOUNTED_HANDLE: u64 = 1 << 28;
/// The task is a `LocalSet`'s or a `LocalRuntime`'s.
pub(super) const LOCAL: u64 = 1 << 29;
/// Since the last poll the wakes passed the end of a half of their range, once and again.
pub(super) const HALF_ROUND: u64 = 1 << 30;
/// See [`HALF_ROUND`].
pub(super) const ROUND: u64 = 1 << 31;

const WAKERS: u64 = (1 << 22) - 1;
const HANDLES: u64 = 0xffff << 32;
/// From so many on, no more are counted. Far from the end of the count by more threads than there can be
/// between a load and what follows from it.
const MANY_WAKERS: u64 = if SMALL { 2 } else { 1 << 21 };
const MANY_HANDLES: u64 = if SMALL { 2 } else { 1 << 15 };
/// The range of wakes, and half of it.
const WAKES: u16 = if SMALL { 7 } else { u16::MAX };
const HALF_OF_WAKES: u16 = WAKES / 2;
/// So that the models come to the ends of the counts.
const SMALL: bool = cfg!(all(test, diag_loom));

/// One value of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateBits(pub(super) u64);

impl StateBits {
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
        self.0 & (RUNTIME_WAKER | FOREIGN) == RUNTIME_WAKER
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
        self.has(RUNTIME_WAKER) && self.is_traceable_by_polls()
    }

    /// True if stacks may be taken in polls that happen anyway.
    pub(super) fn is_traceable_by_polls(self) -> bool {
        !self.has(FOREIGN | UNTRACED)
    }

    /// Live clones of the waker.
    pub(crate) fn wakers(self) -> u32 {
        (self.0 & WAKERS) as u32
    }

    /// Handles, set entries and pins.
    pub(crate) fn handles(self) -> u32 {
        ((self.0 & HANDLES) >> 32) as u32
    }

    /// Wakes so far, the lowest bits.
    #[inline]
    pub(super) fn wakes(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Wakes that came after there had been `seen`; fewer than that if they have come round.
    #[inline]
    pub(super) fn wakes_since(self, seen: u64) -> u16 {
        self.wakes().wrapping_sub(seen as u16) & WAKES
    }

    /// True if wakes went through half of their range since the last poll.
    #[inline]
    pub(super) fn may_have_come_round(self) -> bool {
        self.has(HALF_ROUND | ROUND)
    }

    /// True if the next poll is none like the others.
    #[inline]
    pub(super) fn is_marked(self) -> bool {
        self.has(TRACE | HALF_ROUND | ROUND | LABELLED)
    }

    /// The same for another reason than that the task has labels.
    #[inline]
    pub(super) fn is_marked_by_others(self) -> bool {
        self.has(TRACE | HALF_ROUND | ROUND)
    }

    /// True if polls of the task put labels in force.
    pub(super) fn has_labels(self) -> bool {
        self.has(LABELLED)
    }

    /// True if the task lives and none of its counted wakers does.
    #[inline]
    pub(super) fn is_without_wakers(self) -> bool {
        self.0 & (OWNER | WAKERS) == OWNER
    }

    /// True if a capture may add a handle for a moment.
    pub(super) fn can_be_pinned(self) -> bool {
        self.is_alive() && self.0 & HANDLES <= HANDLES / 4 * 3
    }

    /// True if nothing holds the record.
    #[inline]
    pub(super) fn is_unheld(self) -> bool {
        self.0 & (OWNER | WAKERS | HANDLES) == 0
    }

    /// True if no further waker may be counted.
    #[inline]
    pub(super) fn has_many_wakers(self) -> bool {
        self.0 & WAKERS >= MANY_WAKERS
    }

    /// True if no further handle may be counted.
    #[inline]
    pub(super) fn has_many_handles(self) -> bool {
        self.0 & HANDLES >= MANY_HANDLES * HANDLE
    }

    /// True if the next wake is the last of a half of the range.
    #[inline]
    pub(super) fn ends_half(self) -> bool {
        self.wakes() & HALF_OF_WAKES == HALF_OF_WAKES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_do_not_touch_each_other() {
        let bits = StateBits((OWNER | RUNTIME_WAKER) + 3 * WAKER + 2 * HANDLE + 65_535 * WAKE);
        assert_eq!((bits.wakers(), bits.handles(), bits.wakes()), (3, 2, 65_535));
        let next = StateBits(bits.0.wrapping_add(WAKE));
        assert_eq!((next.wakers(), next.handles(), next.wakes()), (3, 2, 0));
        assert!(next.is_alive() && next.has(RUNTIME_WAKER) && !next.is_unheld());
        assert!(StateBits(RUNTIME_WAKER + 7 * WAKE).is_unheld());
    }

    #[test]
    fn a_count_says_when_it_is_half_way_through_its_range() {
        let many = StateBits(OWNER + MANY_WAKERS * WAKER + MANY_HANDLES * HANDLE);
        assert!(many.has_many_wakers() && many.has_many_handles());
        let fewer = StateBits(many.0 - WAKER - HANDLE);
        assert!(!fewer.has_many_wakers() && !fewer.has_many_handles());
        const { assert!(2 * MANY_WAKERS <= WAKERS + 1 && 2 * MANY_HANDLES * HANDLE <= HANDLES + HANDLE) };
        let half = u64::from(HALF_OF_WAKES);
        assert!(StateBits(half * WAKE).ends_half() && StateBits((2 * half + 1) * WAKE).ends_half());
        assert!(!StateBits((half - 1) * WAKE).ends_half() && !StateBits(0).ends_half());
    }
}
