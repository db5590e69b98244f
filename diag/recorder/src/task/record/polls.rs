//! What the poller of a task writes into its record, and the owner at the end: one thread at a time.

use diag_snapshot::Outcome;

use super::super::completed::{Completed, ending_bits};
use super::super::reading::polls;
use super::super::site::SiteId;
use super::super::state::{HALF_ROUND, ROUND, StateBits, TRACE};
use super::{ASKED, DROPPING, ENDING, OWED, SELF_WAKES_HIGH, TaskRecord, UNRECORDED, add, asked, outcome_of};
use crate::sync::atomic::{Ordering, fence};

/// A poll after so long a rest has stacks taken even where few polls have.
const LONG_REST_NS: u64 = 500_000_000;

/// What kind of poll it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollKind {
    /// The task's first.
    First,
    /// One after a long rest.
    Rested,
    /// Any other that the service owes the task.
    Later,
    /// One that begins and ends otherwise.
    Marked(Marked),
}

/// A poll of a task with labels, or one that a capture asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// See [`PollKind::First`].
    First,
    /// See [`PollKind::Rested`].
    Rested,
    /// See [`PollKind::Later`].
    Later,
    /// One that a capture asked for, see [`Trace`].
    Traced(Trace),
}

/// A poll that a capture asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Nothing else asked for it: it counts as no poll unless it turns out to be one.
    pub(crate) unrecorded: bool,
}

/// What a poll that nothing but a capture asked for found to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// The task had rested so long.
    pub(crate) idle_ns: u64,
    /// So many wakers had been there to wake it, and were not used.
    pub(crate) wakers: u32,
}

impl PollKind {
    /// The same, for who does not mind how it begins and ends.
    pub(crate) fn marked(self) -> Marked {
        match self {
            PollKind::First => Marked::First,
            PollKind::Rested => Marked::Rested,
            PollKind::Later => Marked::Later,
            PollKind::Marked(marked) => marked,
        }
    }
}

impl TaskRecord {
    /// A poll begins on `thread`, the poller's only. Gives its kind, and when the task was woken last if that
    /// is what it waited for.
    #[inline(always)]
    pub(crate) fn poll_start(&self, now_ns: u64, thread: u32) -> (PollKind, u64) {
        let poller = &self.poller;
        let seq = poller.seq.load(Ordering::Relaxed);
        poller.seq.store(seq + 1, Ordering::Relaxed);
        // Pairs with the reader's Acquire fence: who sees what is stored below sees an odd `seq`.
        fence(Ordering::Release);
        let state = self.state();
        let wakes = poller.wakes.load(Ordering::Relaxed);
        let new = state.wakes_since(wakes);
        if new == 1 && wakes & OWED == 0 {
            // It caused this poll, so no other is owed.
            poller.wakes.store(wakes + 1, Ordering::Relaxed);
        } else {
            self.count_wakes(wakes, new);
        }
        if state.is_marked()
            && let Some((marked, woken_ns)) = self.marked_start(state, (seq, new), now_ns, thread)
        {
            return (PollKind::Marked(marked), woken_ns);
        }
        self.unmarked_start((seq, new), now_ns, thread)
    }

    #[inline(always)]
    fn unmarked_start(&self, (seq, new): (u64, u16), now_ns: u64, thread: u32) -> (PollKind, u64) {
        let (shared, poller) = (&self.shared, &self.poller);
        let rested_ns = now_ns.wrapping_sub(poller.moved_ns.load(Ordering::Relaxed));
        poller.moved_ns.store(now_ns, Ordering::Relaxed);
        if shared.thread.load(Ordering::Relaxed) != thread {
            shared.thread.store(thread, Ordering::Relaxed);
        }
        if seq == 0 {
            return (PollKind::First, shared.spawned_ns.load(Ordering::Relaxed));
        }
        let kind = if rested_ns > LONG_REST_NS { PollKind::Rested } else { PollKind::Later };
        (kind, if new == 0 { now_ns } else { shared.woken_ns.load(Ordering::Relaxed) })
    }

    /// One of the wakes that are new, or a poll that was owed before, caused this poll. Each further one may have
    /// come after the runtime's own mark.
    #[cold]
    fn count_wakes(&self, wakes: u64, new: u16) {
        let owed = u64::from(new) + (wakes >> 63) > 1;
        let counted = (wakes & !OWED) + u64::from(new);
        self.poller.wakes.store(counted | u64::from(owed) << 63, Ordering::Relaxed);
    }

    /// The rest of [`poll_start`](TaskRecord::poll_start) where a capture asked for the poll or the task has labels; `None` if
    /// only the wakes may have come round since the last poll.
    #[cold]
    fn marked_start(
        &self,
        state: StateBits,
        (seq, new): (u64, u16),
        now_ns: u64,
        thread: u32,
    ) -> Option<(Marked, u64)> {
        let trace = if state.is_marked_by_others() { self.trace_start(state, new, now_ns) } else { None };
        if let Some(trace) = trace {
            return Some((Marked::Traced(trace), now_ns));
        }
        if !state.has_labels() {
            return None;
        }
        let (kind, woken_ns) = self.unmarked_start((seq, new), now_ns, thread);
        Some((kind.marked(), woken_ns))
    }

    /// A poll begins that a capture asked for, or before which the wakes may have come round since the last one.
    fn trace_start(&self, state: StateBits, new: u16, now_ns: u64) -> Option<Trace> {
        let poller = &self.poller;
        if state.may_have_come_round() {
            self.shared.state.fetch_and(!(HALF_ROUND | ROUND), Ordering::Relaxed);
        }
        let asked = state.has(TRACE);
        if asked || state.has(ROUND) {
            poller.wakes.store(poller.wakes.load(Ordering::Relaxed) | OWED, Ordering::Relaxed);
        }
        let unrecorded = new == 0 && !state.may_have_come_round();
        if unrecorded {
            poller.traces.store(poller.traces.load(Ordering::Relaxed) | UNRECORDED, Ordering::Relaxed);
        } else {
            poller.moved_ns.store(now_ns, Ordering::Relaxed);
        }
        asked.then_some(Trace { unrecorded })
    }

    /// A poll took so long, the poller's only: `busy_ns` is what it adds to the estimate of busy time.
    pub(crate) fn add_time(&self, took_ns: u64, busy_ns: u64) {
        let poller = &self.poller;
        add(&poller.busy_ns, busy_ns);
        let took_us = u32::try_from(took_ns.div_ceil(1_000)).unwrap_or(u32::MAX);
        if poller.longest_us.load(Ordering::Relaxed) < took_us {
            poller.longest_us.store(took_us, Ordering::Relaxed);
        }
    }

    /// A poll of the service's own ended, the poller's only; `ending` is the outcome if it was the last.
    #[inline(always)]
    pub(crate) fn poll_end(&self, now_ns: u64, ending: Option<Outcome>) {
        let poller = &self.poller;
        if let Some(outcome) = ending {
            self.settle(outcome);
        }
        poller.moved_ns.store(now_ns, Ordering::Relaxed);
        // Release: pairs with the reader's Acquire of `seq`: it sees this poll as a whole.
        poller.seq.store(poller.seq.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// A poll that a capture asked for ended; `moved` if it left other stacks than the one before. Gives what it
    /// found to be ready although nothing but that capture had asked for it.
    #[cold]
    pub(crate) fn traced_end(
        &self,
        trace: Trace,
        now_ns: u64,
        ending: Option<Outcome>,
        moved: bool,
    ) -> Option<Recovered> {
        let poller = &self.poller;
        let state = self.state();
        let woken = state.wakes_since(poller.wakes.load(Ordering::Relaxed)) != 0;
        let traces = poller.traces.load(Ordering::Relaxed) & !UNRECORDED;
        poller.traces.store(traces, Ordering::Relaxed);
        let unasked = trace.unrecorded && !woken;
        let recovered = (unasked && (moved || ending == Some(Outcome::Done))).then(|| Recovered {
            idle_ns: now_ns.saturating_sub(poller.moved_ns.load(Ordering::Relaxed)),
            wakers: state.wakers(),
        });
        if unasked && ending.is_none() {
            // It counts as no poll, and the task rests since when it did.
            poller.traces.store(traces.wrapping_add(ASKED), Ordering::Relaxed);
            poller.seq.store(poller.seq.load(Ordering::Relaxed) + 1, Ordering::Release);
        } else {
            self.poll_end(now_ns, ending);
        }
        // After `seq`, so that who waits for this sees the poll ended: pairs with the Acquire of `is_traced`.
        self.shared.state.fetch_and(!TRACE, Ordering::Release);
        recovered
    }

    /// The number of the stacks that the last poll left, or a mark. The poller's only.
    #[inline]
    pub(crate) fn stack(&self) -> u32 {
        self.poller.stack.load(Ordering::Relaxed)
    }

    /// When the last poll ended; 0 before the first. The poller's only.
    #[inline(always)]
    pub(crate) fn moved_ns(&self) -> u64 {
        self.poller.moved_ns.load(Ordering::Relaxed)
    }

    /// See [`stack`](TaskRecord::stack). Inside of a poll only.
    #[inline(always)]
    pub(crate) fn set_stack(&self, stack: u32) {
        self.poller.stack.store(stack, Ordering::Relaxed);
    }

    /// Another number for the stacks that the last poll left, unless another poll has left some since. Anybody's: this
    /// says the same as before.
    pub(crate) fn renumber_stack(&self, before: u32, after: u32) -> bool {
        let stack = &self.poller.stack;
        stack.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The future is about to be dropped, the owner's only.
    #[inline]
    pub(crate) fn start_drop(&self) {
        // The Release of each waker that goes from now on orders this before it.
        self.poller.stack.store(DROPPING, Ordering::Relaxed);
    }

    /// Remembers how the task ends, the owner's only.
    fn settle(&self, outcome: Outcome) {
        let traces = self.poller.traces.load(Ordering::Relaxed);
        let ending = ending_bits(outcome);
        self.poller.traces.store(traces & !ENDING | ending, Ordering::Relaxed);
    }

    /// Remembers tokio's id, the poller's only.
    #[inline]
    pub(crate) fn set_tokio_id(&self, bits: u64) {
        self.poller.tokio_id.store(bits, Ordering::Relaxed);
    }

    /// The task woke itself, the poller's only.
    #[inline]
    pub(crate) fn add_self_wake(&self) {
        let low = self.poller.self_wakes.load(Ordering::Relaxed).wrapping_add(1);
        self.poller.self_wakes.store(low, Ordering::Relaxed);
        if low == 0 {
            self.carry_self_wakes();
        }
    }

    #[cold]
    fn carry_self_wakes(&self) {
        let traces = self.poller.traces.load(Ordering::Relaxed);
        self.poller.traces.store(traces.saturating_add(SELF_WAKES_HIGH), Ordering::Relaxed);
    }

    /// How often the task woke itself, the lower half of the count. The poller's only.
    #[inline]
    pub(crate) fn self_wakes(&self) -> u32 {
        self.poller.self_wakes.load(Ordering::Relaxed)
    }

    /// How the task ended, now that its future is gone, with its busy time and longest poll. A task
    /// that finished ended with its last poll, another one now. The owner's only, before
    /// [`close`](TaskRecord::close).
    #[inline]
    pub(crate) fn end(&self, now_ns: impl FnOnce() -> u64) -> (Completed, u64, u64) {
        let (shared, poller) = (&self.shared, &self.poller);
        let seq = poller.seq.load(Ordering::Relaxed);
        let traces = poller.traces.load(Ordering::Relaxed);
        let outcome = outcome_of(traces).unwrap_or_else(|| {
            poller.moved_ns.store(now_ns(), Ordering::Relaxed);
            let outcome = if seq == 0 { Outcome::NeverPolled } else { Outcome::Cancelled };
            self.settle(outcome);
            outcome
        });
        let task = self.current();
        let end = Completed {
            id: task.id().unwrap_or_default(),
            site: task.site().unwrap_or(SiteId(0)),
            outcome,
            cancel_bits: shared.cancel.load(Ordering::Relaxed),
            spawned_ns: shared.spawned_ns.load(Ordering::Relaxed),
            ended_ns: poller.moved_ns.load(Ordering::Relaxed),
            polls: polls(seq, asked(traces).into()),
        };
        let longest_ns = u64::from(poller.longest_us.load(Ordering::Relaxed)) * 1_000;
        (end, poller.busy_ns.load(Ordering::Relaxed), longest_ns)
    }
}
