//! The record of one task: 128 bytes, two cache lines, no lock.
//!
//! The first line is shared (spawner, wakers, handles, capture), the second is written by whoever
//! polls the task, one thread at a time, with plain loads and stores. Threads that wake a task or
//! read it thus never take its poller's line.
//!
//! What others count lies in one word, see [`state`](super::state). `seq` is odd inside a poll; `seen`
//! are the wakes that the last poll found, the lowest bits of `wakes`.
//!
//! | a task is | read from `seq`, `seen` and `state`, while `seq` stays the same |
//! |---|---|
//! | free | `task == 0` |
//! | never polled | `OWNER`, `seq == 0` |
//! | polling | `OWNER`, `seq` odd |
//! | woken | `OWNER`, `seq` even, state's wakes != `seen` |
//! | idle | `OWNER`, `seq` even, state's wakes == `seen`; *lost* if there are no wakers either, see below |
//! | ended, still held (zombie) | no `OWNER`, wakers + handles > 0 |
//!
//! | transition | operations, in order |
//! |---|---|
//! | spawn | record is ours, `task == 0`: `fence(Release)`, fields Relaxed, `task` Release, `state = OWNER + handle + wake` Release |
//! | poll start | `seq + 1` Relaxed, `fence(Release)`, state Acquire, `seen`, stamps, the runtime's waker and `stack = 0` Relaxed |
//! | clone | `state + waker` Relaxed; without `RUNTIME_WAKER`: take a reference of the runtime's waker, `fetch_or(RUNTIME_WAKER)` AcqRel |
//! | wake | stamps Relaxed, `state + wake` AcqRel, and only then the runtime's waker is woken, if `OWNER` |
//! | wake by value | as wake, then as drop: the count falls after the forward |
//! | drop of a clone | `state - waker` AcqRel; nothing left: free |
//! | poll end | first time pending and no `RUNTIME_WAKER`: take it as clone does; stamps and `stack` Relaxed, `seq + 1` Release |
//! | end | `stack = DROPPING` Relaxed, the future is dropped, stamps Relaxed, `state - OWNER` AcqRel; nothing left: free |
//! | handle cloned, dropped | `state + handle` Relaxed, `state - handle` AcqRel, or a load if only this is left; nothing left: free |
//! | pin by a capture | CAS `state + handle` only while `OWNER`, Acquire, then `task` must be the expected one |
//! | free | the runtime's waker and the label dropped, `task = 0` Relaxed, the record's bit given back (Release) |
//!
//! A reader takes `task` (Acquire), `seq` (Acquire), the fields, the state (Acquire), `stack`, `fence(Acquire)`,
//! and the first two again: the same values mean that all fields are one task's, and of one moment
//! unless a poll was under way.
//!
//! Why *lost* is a proof, in one reading and without a poll of ours: at that moment no clone of the waker exists, and
//! clones come only from the waker that a poll borrows, so nothing but a poll that is already owed, an abort
//! or the runtime's shutdown can run the task.
//!
//! - A poll is owed if a wake fell between the runtime's own mark of a poll's start and ours. Of the wakes that a
//!   poll finds new, one caused it; if there was no other, nothing is owed. The highest bit of `wakes` says that
//!   there was, or that a capture asked for the poll, which is a cause as well: then *lost* is likely and not proven.
//! - A task that is aborted, or that finished, gives its wakers up while its future is dropped. `stack` says
//!   `DROPPING` before the first of them is gone, and each of them goes with a Release that pairs with the reader's
//!   Acquire of the state, so a reader that misses a waker sees the mark.
//!
//! Wakers, handles and the owner each keep the runtime's waker alive, which keeps the runtime's task
//! allocated, which keeps the record's `Tracked`: a circle that ends when the runtime drops the future.

use std::mem::ManuallyDrop;
use std::task::{RawWaker, Waker};

use diag_snapshot::{CancelBy, Outcome};

use super::cancel::Cancel;
use super::completed::{Completed, ended_as, ending_bits};
use super::reading::{TaskReading, polls};
use super::runtime_waker;
use super::site::{Kind, SiteId};
use super::state::{
    FOREIGN, HALF_ROUND, HANDLE, LOCAL, OWNER, ROUND, RUNTIME_WAKER, StateBits, TRACE, UNCOUNTED_HANDLE,
    UNTRACED, WAKE, WAKER,
};
use crate::current::CurrentTask;
use crate::dropped::Dropped;
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::unmodelled;

/// See the module. All zero is a free record.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct TaskRecord {
    shared: Shared,
    poller: Poller,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Shared {
    /// The task's id and site in one.
    task: AtomicU64,
    state: AtomicU64,
    parent: unmodelled::AtomicU64,
    spawned_ns: AtomicU64,
    /// What the runtime's waker of this task points to, the same for all of its polls.
    runtime_waker: AtomicPtr<()>,
    woken_ns: unmodelled::AtomicU64,
    /// See [`WakeSource`].
    woken_by: unmodelled::AtomicU64,
    /// The kernel's number of the thread that polled last.
    thread: unmodelled::AtomicU32,
    /// See [`Cancel`].
    cancel: unmodelled::AtomicU32,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Poller {
    seq: AtomicU64,
    /// When the poll under way began, or else when the last one ended, or the task.
    moved_ns: AtomicU64,
    busy_ns: unmodelled::AtomicU64,
    tokio_id: unmodelled::AtomicU64,
    label: unmodelled::AtomicPtr<Box<str>>,
    /// Those that polls have found, and `OWED`.
    wakes: AtomicU64,
    /// The lower half; the rest is in `traces`.
    self_wakes: unmodelled::AtomicU32,
    /// The number of the stacks that the last poll left, 0 if it left none, or one of the marks below.
    stack: AtomicU32,
    longest_us: unmodelled::AtomicU32,
    /// `self wakes >> 32: 12 | polls of captures: 12 | UNRECORDED | ending: 7`; ending is 0, or 1 + the index of the outcome.
    traces: AtomicU32,
}

/// Of `wakes`: the runtime may owe the task a poll that none of the counted wakes will show.
const OWED: u64 = 1 << 63;
/// In the place of stacks: the future is being dropped, or is gone.
pub(crate) const DROPPING: u32 = u32::MAX;
/// In the place of stacks: the last poll was given a waker to take stacks, and the leaf woke the one that this
/// replaced. The next poll is an ordinary one, or each would bring the next.
pub(crate) const WOKE_REPLACED: u32 = u32::MAX - 1;
/// In the place of stacks: the last poll would have had its stacks taken, and no leaf took a waker.
pub(crate) const NO_STACKS: u32 = u32::MAX - 2;
/// No number of stacks is as high as this.
pub(crate) const STACK_MARKS: u32 = NO_STACKS;

/// A poll that counts as none is under way.
const UNRECORDED: u32 = 1 << 7;
const ENDING: u32 = UNRECORDED - 1;
/// One poll of a capture.
const ASKED: u32 = 1 << 8;
const MAX_ASKED: u32 = (1 << 12) - 1;
/// 2^32 self wakes.
const SELF_WAKES_HIGH: u32 = 1 << 20;

/// A poll after so long a rest has stacks taken even where few polls have.
const LONG_REST_NS: u64 = 500_000_000;

#[cfg(not(all(test, diag_loom)))]
const _: () = assert!(size_of::<TaskRecord>() == 128);

/// What a spawn writes into its record.
#[derive(Debug)]
pub(crate) struct SpawnInfo {
    pub(crate) task: CurrentTask,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) label: Option<Box<str>>,
    pub(crate) kind: Kind,
    /// False for a task that no capture may poll.
    pub(crate) traced: bool,
}

/// Who woke a task: a task, or a thread outside of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeSource {
    ByTask(CurrentTask),
    ByThread(u32),
    /// Nobody did, and in this task's poll the last waker was dropped.
    Displaced(CurrentTask),
}

impl WakeSource {
    const THREAD: u64 = 1 << 63;
    /// No task's id comes as high.
    const DISPLACED: u64 = 1 << 62;

    #[inline]
    fn bits(self) -> u64 {
        match self {
            WakeSource::ByTask(task) => task.word(),
            WakeSource::ByThread(thread) => WakeSource::THREAD | u64::from(thread),
            WakeSource::Displaced(by) => WakeSource::DISPLACED | by.word(),
        }
    }

    #[inline]
    fn is_displaced(bits: u64) -> bool {
        bits & (WakeSource::THREAD | WakeSource::DISPLACED) == WakeSource::DISPLACED
    }

    fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0 => None,
            bits if bits & WakeSource::THREAD != 0 => Some(WakeSource::ByThread(bits as u32)),
            bits if bits & WakeSource::DISPLACED != 0 => {
                Some(WakeSource::Displaced(CurrentTask::from_word(bits & !WakeSource::DISPLACED)))
            }
            bits => Some(WakeSource::ByTask(CurrentTask::from_word(bits))),
        }
    }
}

/// What kind of poll it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollKind {
    /// The task's first.
    First,
    /// One after a long rest.
    Rested,
    /// Any other that the service owes the task.
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

static FOREIGN_WAKERS: Dropped = Dropped::new(
    "tasks_with_foreign_wakers",
    "a task was not polled by tokio, so its wakers are not counted",
);
static TOO_MANY_WAKERS: Dropped = Dropped::new(
    "wakers_uncounted",
    "a waker is not counted, as its task has millions, so that task is never called lost",
);
static TOO_MANY_HANDLES: Dropped = Dropped::new(
    "handles_uncounted",
    "a handle is not counted, as its task has 32,768, so who cancels that task may be unknown",
);

/// How many times a reader tries to catch a moment without a poll before it takes what it sees.
const TRIES: usize = if cfg!(all(test, diag_loom)) { 2 } else { 4 };

impl TaskRecord {
    /// Fills a free record that belongs to the caller, and publishes it, with one handle.
    #[inline]
    pub(crate) fn open(&self, spawn: SpawnInfo) {
        let (shared, poller) = (&self.shared, &self.poller);
        fence(Ordering::Release);
        shared.parent.store(spawn.parent.word(), Ordering::Relaxed);
        shared.spawned_ns.store(spawn.spawned_ns, Ordering::Relaxed);
        shared.runtime_waker.store(std::ptr::null_mut(), Ordering::Relaxed);
        shared.woken_ns.store(0, Ordering::Relaxed);
        shared.woken_by.store(0, Ordering::Relaxed);
        shared.thread.store(0, Ordering::Relaxed);
        shared.cancel.store(0, Ordering::Relaxed);
        let label = spawn.label.map_or(std::ptr::null_mut(), |label| Box::into_raw(Box::new(label)));
        poller.label.store(label, Ordering::Relaxed);
        poller.seq.store(0, Ordering::Relaxed);
        poller.moved_ns.store(0, Ordering::Relaxed);
        poller.wakes.store(0, Ordering::Relaxed);
        poller.traces.store(0, Ordering::Relaxed);
        poller.busy_ns.store(0, Ordering::Relaxed);
        poller.tokio_id.store(0, Ordering::Relaxed);
        poller.self_wakes.store(0, Ordering::Relaxed);
        poller.stack.store(0, Ordering::Relaxed);
        poller.longest_us.store(0, Ordering::Relaxed);
        shared.task.store(spawn.task.word(), Ordering::Release);
        let kind = match spawn.kind {
            Kind::Task => 0,
            Kind::Local => LOCAL,
            Kind::Blocking => UNTRACED,
            Kind::Future => UNTRACED | UNCOUNTED_HANDLE,
        };
        let traced = if spawn.traced { 0 } else { UNTRACED };
        // Last, so that who pins the task finds all of the above.
        shared.state.store((OWNER | kind | traced) + HANDLE + WAKE, Ordering::Release);
    }

    /// The task in it, if there is one: without the rest.
    pub(crate) fn task(&self) -> Option<CurrentTask> {
        Some(CurrentTask::from_word(self.shared.task.load(Ordering::Acquire))).filter(|task| task.word() != 0)
    }

    /// The task's id and site for the thread-local word. Only who holds the record may ask.
    #[inline]
    pub(crate) fn current(&self) -> CurrentTask {
        CurrentTask::from_word(self.shared.task.load(Ordering::Relaxed))
    }

    /// The state as of now.
    #[inline]
    pub(crate) fn state(&self) -> StateBits {
        StateBits(self.shared.state.load(Ordering::Acquire))
    }

    /// A poll begins on `thread`, the poller's only. Gives its kind, and when the task was woken last if that
    /// is what it waited for.
    #[inline(always)]
    pub(crate) fn poll_start(&self, now_ns: u64, thread: u32) -> (PollKind, u64) {
        let (shared, poller) = (&self.shared, &self.poller);
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
            && let Some(trace) = self.marked_start(state, new, now_ns)
        {
            return (PollKind::Traced(trace), now_ns);
        }
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

    /// As [`poll_start`](TaskRecord::poll_start) where a capture asked for the poll, or where the wakes may have come
    /// round since the last one.
    #[cold]
    fn marked_start(&self, state: StateBits, new: u16, now_ns: u64) -> Option<Trace> {
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

    /// What the runtime's waker of this task points to; the poller's only, at the first poll.
    #[inline]
    pub(crate) fn set_runtime_waker(&self, data: *const ()) {
        self.shared.runtime_waker.store(data.cast_mut(), Ordering::Relaxed);
    }

    /// What [`set_runtime_waker`](TaskRecord::set_runtime_waker) stored. For the poller.
    #[inline]
    pub(crate) fn runtime_waker(&self) -> *const () {
        self.shared.runtime_waker.load(Ordering::Relaxed)
    }

    /// From now on the task's wakers are not counted; the poller's only.
    pub(crate) fn set_foreign(&self) {
        FOREIGN_WAKERS.count();
        self.shared.state.fetch_or(FOREIGN, Ordering::Relaxed);
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

    /// See [`stack`](TaskRecord::stack). Inside of a poll only.
    #[inline(always)]
    pub(crate) fn set_stack(&self, stack: u32) {
        self.poller.stack.store(stack, Ordering::Relaxed);
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

    /// The future is gone. True if the record is now the caller's to free.
    ///
    /// A read-modify-write even when nobody looks: "I am alone" could be outdated by a capture's pin.
    #[inline]
    pub(crate) fn close(&self) -> bool {
        self.give_up(OWNER)
    }

    /// True if the task has ended and what the caller holds is all that is left: then nobody else can take
    /// hold of the record, and it is the caller's to free without another read-modify-write.
    #[inline]
    fn is_last(&self, held: u64) -> bool {
        StateBits(self.state().0.wrapping_sub(held)).is_unheld()
    }

    /// Takes one thing off the state. True if the record is now the caller's to free.
    #[inline]
    fn give_up(&self, what: u64) -> bool {
        // A subtraction, also of a flag: x86 has one instruction that subtracts and tells the value before.
        let before = self.shared.state.fetch_sub(what, Ordering::AcqRel);
        StateBits(before - what).is_unheld()
    }

    /// Another handle of a record that the caller holds already. False if there are too many to count it; then it
    /// is one of which the record does not know.
    #[inline]
    pub(crate) fn add_handle(&self) -> bool {
        let before = StateBits(self.shared.state.fetch_add(HANDLE, Ordering::Relaxed));
        !before.has_many_handles() || self.uncount(HANDLE, UNCOUNTED_HANDLE, &TOO_MANY_HANDLES)
    }

    /// One handle less. True if the record is now the caller's to free.
    #[inline]
    pub(crate) fn drop_handle(&self) -> bool {
        self.is_last(HANDLE) || self.give_up(HANDLE)
    }

    /// A handle was exchanged for one that is not counted.
    pub(crate) fn give_away_handle(&self) {
        self.shared.state.fetch_or(UNCOUNTED_HANDLE, Ordering::Relaxed);
    }

    /// Somebody with a handle asks the task to stop. The first one counts.
    pub(crate) fn ask_to_stop(&self, cancel: Cancel) {
        // An ended task cannot be asked any more.
        if self.state().is_alive() && self.shared.cancel.load(Ordering::Relaxed) == 0 {
            self.shared.cancel.store(cancel.bits(), Ordering::Relaxed);
        }
    }

    /// Who asked the task to stop, if anybody did.
    pub(crate) fn cancelled(&self) -> Option<Cancel> {
        Cancel::from_bits(self.shared.cancel.load(Ordering::Relaxed))
    }

    /// Who cancelled a task that nobody asked to stop: what owned it, unless others could ask.
    pub(crate) fn unasked(&self) -> CancelBy {
        match self.state() {
            state if state.has(UNCOUNTED_HANDLE) => CancelBy::Unknown,
            state if state.has(LOCAL) => CancelBy::LocalSetDropped,
            _ => CancelBy::RuntimeShutdown,
        }
    }

    /// Another clone of the task's waker, made from one that lives. False if there are too many to count it; then
    /// it has to be one of the [runtime's](TaskRecord::runtimes_clone).
    #[inline]
    pub(crate) fn add_waker(&self) -> bool {
        let before = StateBits(self.shared.state.fetch_add(WAKER, Ordering::Relaxed));
        if !before.has(RUNTIME_WAKER) {
            self.adopt();
        }
        !before.has_many_wakers() || self.uncount(WAKER, FOREIGN, &TOO_MANY_WAKERS)
    }

    /// Takes back what was added, and says that there is more than what is counted, for good. The caller has one
    /// that is counted, so this is not the last. False.
    #[cold]
    fn uncount(&self, what: u64, more: u64, dropped: &'static Dropped) -> bool {
        dropped.count();
        self.shared.state.fetch_or(more, Ordering::Relaxed);
        self.shared.state.fetch_sub(what, Ordering::Relaxed);
        false
    }

    /// A clone of the runtime's own waker, for the holder of one of ours.
    #[cold]
    pub(crate) fn runtimes_clone(&self) -> Waker {
        // SAFETY: the caller holds a waker, which keeps the runtime's alive, or is inside the poll that borrows it.
        (*unsafe { self.borrowed_runtime_waker() }).clone()
    }

    /// One clone less, dropped while `by` was the current task. True if the record is now the caller's to free.
    #[inline]
    pub(crate) fn drop_waker(&self, by: CurrentTask) -> bool {
        let after = StateBits(self.shared.state.fetch_sub(WAKER, Ordering::AcqRel) - WAKER);
        if after.is_without_wakers() && by != self.current() {
            self.displace(by);
        }
        after.is_unheld()
    }

    /// One clone less, after a wake by it. True if the record is now the caller's to free.
    #[inline]
    pub(crate) fn use_up_waker(&self) -> bool {
        self.give_up(WAKER)
    }

    /// The last waker was dropped in a poll of `by`, another task, or outside of all. If nobody woke the task, that is
    /// how it got lost; also if its own poll is still to end, on another thread. Only a hint: what is read here may
    /// change meanwhile, and the capture asks only for tasks that are lost.
    #[cold]
    fn displace(&self, by: CurrentTask) {
        let woken_by = &self.shared.woken_by;
        if by.id().is_none() {
            if WakeSource::is_displaced(woken_by.load(Ordering::Relaxed)) {
                woken_by.store(0, Ordering::Relaxed);
            }
        } else if self.state().wakes_since(self.poller.wakes.load(Ordering::Relaxed)) == 0 {
            woken_by.store(WakeSource::Displaced(by).bits(), Ordering::Relaxed);
        }
    }

    /// Wakes the task. For the holder of one of its wakers.
    #[inline]
    pub(crate) fn wake(&self, now_ns: u64, by: WakeSource) {
        let shared = &self.shared;
        shared.woken_ns.store(now_ns, Ordering::Relaxed);
        shared.woken_by.store(by.bits(), Ordering::Relaxed);
        // Pairs with the Acquire of the state at a poll's start, which then sees the stamps.
        let before = StateBits(shared.state.fetch_add(WAKE, Ordering::AcqRel));
        if before.ends_half() {
            self.end_half();
        }
        if before.is_alive() {
            // SAFETY: the caller holds a waker: a clone, which keeps the runtime's waker alive, or the
            // one that the poll under way borrows, during which the runtime keeps it.
            unsafe { self.borrowed_runtime_waker() }.wake_by_ref();
        }
    }

    /// Half of the range of wakes is through since this was so last. If a poll finds that it was twice, it
    /// cannot tell from the count how many there were.
    #[cold]
    fn end_half(&self) {
        if self.shared.state.fetch_or(HALF_ROUND, Ordering::Relaxed) & HALF_ROUND != 0 {
            self.shared.state.fetch_or(ROUND, Ordering::Relaxed);
        }
    }

    /// Asks the runtime for a poll that counts as none. True if one will come, or is still to come from an
    /// earlier time; it has ended when [`is_traced`](TaskRecord::is_traced) says no more. For who pins a task.
    pub(crate) fn trace(&self) -> bool {
        let state = self.state();
        let is_full = asked(self.poller.traces.load(Ordering::Relaxed)) == MAX_ASKED;
        if !state.is_alive() || !state.is_traceable() || is_full {
            return false;
        }
        if self.shared.state.fetch_or(TRACE, Ordering::AcqRel) & TRACE == 0 {
            // SAFETY: `RUNTIME_WAKER` is set, and kept while the caller's pin holds the record.
            unsafe { self.borrowed_runtime_waker() }.wake_by_ref();
        }
        true
    }

    /// True while a poll asked for by a capture has not ended. A task that ended owes none.
    pub(crate) fn is_traced(&self) -> bool {
        self.state().is_owed_a_trace()
    }

    /// Takes a reference of the runtime's waker, once. Not on the way of each poll: it costs as much as
    /// the rest of a poll's record.
    ///
    /// Called inside a poll only, which borrows the waker that is cloned here.
    #[cold]
    fn adopt(&self) {
        // SAFETY: the poll under way was given this waker by the runtime.
        let ours = unsafe { self.borrowed_runtime_waker() }.clone();
        if self.shared.state.fetch_or(RUNTIME_WAKER, Ordering::AcqRel) & RUNTIME_WAKER != 0 {
            // Another thread that the poll lets use its waker was faster.
            drop(ManuallyDrop::into_inner(ours));
        }
    }

    /// Takes a reference of the runtime's waker at the end of the first poll, if no clone did: without
    /// one no capture could ever ask for a poll. The poller's only.
    #[inline]
    pub(crate) fn keep_runtime_waker(&self) {
        if !self.has_runtime_waker() && !self.runtime_waker().is_null() {
            self.adopt();
        }
    }

    /// True if the record owns a reference of the runtime's waker.
    #[inline]
    fn has_runtime_waker(&self) -> bool {
        self.shared.state.load(Ordering::Relaxed) & RUNTIME_WAKER != 0
    }

    /// The runtime's waker of this task, not to be dropped.
    ///
    /// # Safety
    /// It is alive: a poll is under way, or `RUNTIME_WAKER` is set and the record is held.
    unsafe fn borrowed_runtime_waker(&self) -> ManuallyDrop<Waker> {
        let Some(table) = runtime_waker::table() else { return ManuallyDrop::new(Waker::noop().clone()) };
        // SAFETY: data and table of the runtime's own waker; `Tracked` compared the table, and a task
        // with another one never comes here. It is alive, as the caller says.
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(self.runtime_waker(), table)) })
    }

    /// Keeps whichever task is in this record until [`unpin`](TaskRecord::unpin), and says which one it is;
    /// `None` if there is none that lives.
    pub(crate) fn pin(&self) -> Option<CurrentTask> {
        let take = |state: u64| StateBits(state).can_be_pinned().then_some(state + HANDLE);
        self.shared.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).ok()?;
        Some(self.current())
    }

    /// True if the task has ended meanwhile and the record is now the caller's to free.
    pub(crate) fn unpin(&self) -> bool {
        self.give_up(HANDLE)
    }

    /// The label of a pinned task.
    ///
    /// # Safety
    /// The record is pinned by the caller for as long as the label is used.
    pub(crate) unsafe fn label(&self) -> Option<&str> {
        // SAFETY: `clear` frees it, which the caller's pin holds off.
        unsafe { self.poller.label.load(Ordering::Relaxed).as_ref() }.map(|label| &**label)
    }

    /// Empties a record that is the caller's to free; its bit is given back after this.
    #[inline]
    pub(crate) fn clear(&self) {
        let label = self.poller.label.load(Ordering::Relaxed);
        if !label.is_null() {
            self.poller.label.store(std::ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: made by `open` from a box; the record is ours alone, so nobody reads it.
            drop(unsafe { Box::from_raw(label) });
        }
        if self.has_runtime_waker() {
            // SAFETY: the record's own reference, given up here and nowhere else.
            drop(ManuallyDrop::into_inner(unsafe { self.borrowed_runtime_waker() }));
        }
        self.shared.state.store(0, Ordering::Relaxed);
        self.shared.task.store(0, Ordering::Relaxed);
    }

    /// What the record holds now; `None` if it is free, or tenants changed so fast that none could be
    /// read (each of them came after the reading began).
    pub(crate) fn read(&self) -> Option<TaskReading> {
        (1..=TRIES).find_map(|attempt| self.try_read(attempt == TRIES)).flatten()
    }

    /// `Some(None)`: surely no task. `None`: something changed meanwhile, try again. The last
    /// attempt takes a task that is polled without a pause as it is.
    fn try_read(&self, last: bool) -> Option<Option<TaskReading>> {
        let (shared, poller) = (&self.shared, &self.poller);
        let task = shared.task.load(Ordering::Acquire);
        if task == 0 {
            return Some(None);
        }
        let seq = poller.seq.load(Ordering::Acquire);
        let traces = poller.traces.load(Ordering::Relaxed);
        let wakes = poller.wakes.load(Ordering::Relaxed);
        let self_wakes = u64::from(traces / SELF_WAKES_HIGH) << 32;
        let reading = TaskReading {
            task: CurrentTask::from_word(task),
            parent: CurrentTask::from_word(shared.parent.load(Ordering::Relaxed)),
            spawned_ns: shared.spawned_ns.load(Ordering::Relaxed),
            labelled: !poller.label.load(Ordering::Relaxed).is_null(),
            seq,
            traces: asked(traces).into(),
            unrecorded: traces & UNRECORDED != 0,
            moved_ns: poller.moved_ns.load(Ordering::Relaxed),
            busy_ns: poller.busy_ns.load(Ordering::Relaxed),
            longest_us: poller.longest_us.load(Ordering::Relaxed),
            tokio_id: poller.tokio_id.load(Ordering::Relaxed),
            wakes: wakes & !OWED,
            owed: wakes & OWED != 0,
            self_wakes: self_wakes | u64::from(poller.self_wakes.load(Ordering::Relaxed)),
            woken_ns: shared.woken_ns.load(Ordering::Relaxed),
            woken_by: WakeSource::from_bits(shared.woken_by.load(Ordering::Relaxed)),
            thread: shared.thread.load(Ordering::Relaxed),
            cancel: self.cancelled(),
            outcome: outcome_of(traces),
            state: self.state(),
            // After the state: see the module for what this pairs with.
            stack: poller.stack.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        let same_task = shared.task.load(Ordering::Relaxed) == task;
        let same_moment = poller.seq.load(Ordering::Relaxed) == seq;
        match (same_task, same_moment, last) {
            (true, true, _) => Some(Some(reading)),
            // It was polled at each attempt: say that it is being polled.
            (true, false, true) => Some(Some(TaskReading { seq: seq | 1, unrecorded: false, ..reading })),
            _ => None,
        }
    }
}

/// Adds to a counter that only one thread writes at a time.
#[inline]
fn add(counter: &unmodelled::AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// The captures' own polls.
#[inline]
fn asked(traces: u32) -> u32 {
    (traces / ASKED) & MAX_ASKED
}

fn outcome_of(traces: u32) -> Option<Outcome> {
    ended_as(traces & ENDING)
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::super::reading::{Lost, ParkedAt, RunState};
    use super::*;

    fn spawn_info(id: u64) -> SpawnInfo {
        SpawnInfo {
            task: CurrentTask::new(id, SiteId(3)),
            parent: CurrentTask::default(),
            spawned_ns: id,
            label: Some("one".into()),
            kind: Kind::Task,
            traced: true,
        }
    }

    #[test]
    fn a_task_lives_and_its_record_is_used_again() {
        let record = TaskRecord::default();
        assert!(record.read().is_none());
        record.open(spawn_info(1));
        assert_eq!(record.read().unwrap().run_state(), RunState::NeverPolled);
        assert_eq!(record.poll_start(10, 7), (PollKind::First, 1), "it waits since its spawn");
        record.add_time(5, 5);
        record.poll_end(12, None);
        assert_eq!(record.read().unwrap().moved_ns, 12);
        assert_eq!(record.poll_start(20, 7), (PollKind::Later, 20), "nothing woke it");
        let reading = record.read().unwrap();
        assert_eq!(
            (reading.task.id(), reading.polls(), reading.busy_ns, reading.moved_ns),
            (Some(1), 2, 5, 20)
        );
        assert_eq!((reading.run_state(), reading.thread), (RunState::Polling, 7));
        record.poll_end(21, Some(Outcome::Done));
        assert_eq!(record.end(|| 99).0.ended_ns, 21);
        assert!(!record.close(), "the handle holds it");
        let zombie = record.read().unwrap();
        assert_eq!(
            (zombie.run_state(), zombie.outcome, zombie.state.handles()),
            (RunState::Ended, Some(Outcome::Done), 1)
        );
        assert!(record.drop_handle());
        record.clear();
        record.open(spawn_info(2));
        assert_eq!(record.read().unwrap().seq, 0);
    }

    #[test]
    fn a_pinned_record_is_freed_by_who_lets_go_last() {
        let record = TaskRecord::default();
        assert_eq!(record.pin(), None);
        record.open(spawn_info(1));
        assert_eq!(record.pin().and_then(CurrentTask::id), Some(1));
        assert!(!record.drop_handle());
        assert!(!record.close());
        // SAFETY: pinned above.
        assert_eq!(unsafe { record.label() }, Some("one"));
        assert_eq!(record.pin(), None, "an ended task cannot be pinned");
        assert!(record.unpin());
        record.clear();
    }

    #[test]
    fn a_poll_for_a_capture_shows_as_none() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        record.poll_start(10, 7);
        record.poll_end(12, None);
        record.shared.state.fetch_or(TRACE, Ordering::Relaxed);
        let before = record.read().unwrap();
        let (kind, _) = record.poll_start(900, 8);
        let PollKind::Traced(trace) = kind else { panic!("{kind:?}") };
        let during = record.read().unwrap();
        assert_eq!(record.traced_end(trace, 901, None, false), None);
        for reading in [during, record.read().unwrap()] {
            assert_eq!(
                (reading.run_state(), reading.polls(), reading.moved_ns, reading.thread),
                (RunState::Idle, 1, 12, 7)
            );
        }
        assert_eq!((before.run_state(), before.polls()), (RunState::Idle, 1));
    }

    /// Polls once, with so many wakes before; as a task whose waker was counted.
    fn poll_after(record: &TaskRecord, wakes: u64) {
        record.shared.state.fetch_add(wakes * WAKE, Ordering::Relaxed);
        record.poll_start(10, 7);
        record.shared.state.fetch_or(RUNTIME_WAKER, Ordering::Relaxed);
        record.poll_end(12, None);
    }

    #[test]
    fn lost_is_proven_unless_a_poll_may_be_owed() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        let lost = || record.read().unwrap().lost();
        assert_eq!(lost(), None, "it was never polled");
        poll_after(&record, 0);
        assert_eq!(lost(), Some(Lost::Proven), "the spawn is the one wake");
        poll_after(&record, 2);
        assert_eq!(lost(), Some(Lost::Likely), "one of the two may have come after the poll began");
        poll_after(&record, 0);
        assert_eq!(lost(), Some(Lost::Proven), "that was the poll which was owed");
        record.set_stack(5);
        assert_eq!(
            (lost(), record.read().unwrap().parked_at()),
            (Some(Lost::Proven), Some(ParkedAt::Stacks(5)))
        );
        record.start_drop();
        assert_eq!((lost(), record.read().unwrap().parked_at()), (None, None));
    }

    #[test]
    fn a_task_that_is_asked_to_stop_is_not_lost() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        poll_after(&record, 0);
        record.ask_to_stop(Cancel { by: CancelBy::Abort, at_ns: None });
        assert_eq!(record.read().unwrap().lost(), None);
    }

    #[test]
    fn wakes_that_come_round_are_not_taken_for_fewer() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        poll_after(&record, 0);
        let wake = |times: u32| {
            (0..times).for_each(|_| {
                if StateBits(record.shared.state.fetch_add(WAKE, Ordering::Relaxed)).ends_half() {
                    record.end_half();
                }
            });
        };
        wake(65_536);
        assert_eq!(
            (record.read().unwrap().run_state(), record.read().unwrap().lost()),
            (RunState::Woken, None)
        );
        poll_after(&record, 0);
        assert_eq!(record.read().unwrap().lost(), Some(Lost::Likely));
        poll_after(&record, 0);
        assert_eq!(record.read().unwrap().lost(), Some(Lost::Proven));
        wake(1);
        poll_after(&record, 0);
        assert_eq!(record.read().unwrap().lost(), Some(Lost::Proven));
    }

    #[test]
    fn who_dropped_the_last_waker_is_remembered_if_nobody_woke_the_task() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        let by = CurrentTask::new(9, SiteId(4));
        poll_after(&record, 0);
        record.shared.state.fetch_add(2 * WAKER, Ordering::Relaxed);
        record.drop_waker(by);
        assert_eq!(record.read().unwrap().woken_by, None, "one is left");
        record.drop_waker(by);
        assert_eq!(record.read().unwrap().woken_by, Some(WakeSource::Displaced(by)));
        for (by, wakes) in [(record.current(), 0), (CurrentTask::default(), 0), (by, 1)] {
            record.shared.woken_by.store(0, Ordering::Relaxed);
            record.shared.state.fetch_add(WAKER + wakes * WAKE, Ordering::Relaxed);
            record.drop_waker(by);
            assert_eq!(record.read().unwrap().woken_by, None, "{by:?}, {wakes} wakes");
        }
    }

    #[test]
    fn a_waker_can_be_displaced_before_the_poll_that_made_it_has_ended() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        let by = CurrentTask::new(9, SiteId(4));
        record.poll_start(10, 7);
        record.shared.state.fetch_or(RUNTIME_WAKER, Ordering::Relaxed);
        record.shared.state.fetch_add(WAKER, Ordering::Relaxed);
        record.drop_waker(by);
        record.poll_end(12, None);
        assert_eq!(record.read().unwrap().woken_by, Some(WakeSource::Displaced(by)));
        // Whoever drops the last one of later ones is it, and nobody is if that is no other task.
        for (by, expected) in [(by, Some(WakeSource::Displaced(by))), (CurrentTask::default(), None)] {
            record.shared.state.fetch_add(WAKER, Ordering::Relaxed);
            record.drop_waker(by);
            assert_eq!(record.read().unwrap().woken_by, expected, "{by:?}");
        }
    }

    #[test]
    fn counts_stop_before_they_run_into_each_other() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        record.shared.state.fetch_or(RUNTIME_WAKER, Ordering::Relaxed);
        let handles = 1 + (0..100_000).filter(|_| record.add_handle()).count() as u32;
        assert_eq!((record.state().handles(), record.unasked()), (handles, CancelBy::Unknown));
        (0..handles - 1).for_each(|_| assert!(!record.drop_handle()));
        let wakers = (0..10_000_000).filter(|_| record.add_waker()).count() as u32;
        assert_eq!((record.state().wakers(), record.state().is_countable()), (wakers, false));
        (0..wakers).for_each(|_| assert!(!record.use_up_waker()));
        assert!(
            record.state().is_alive() && !record.close() && record.drop_handle(),
            "nothing is left behind"
        );
        record.shared.state.fetch_and(!RUNTIME_WAKER, Ordering::Relaxed);
    }

    #[test]
    fn self_wakes_carry_into_their_upper_half() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        record.poll_start(10, 7);
        record.poller.self_wakes.store(u32::MAX, Ordering::Relaxed);
        record.add_self_wake();
        record.add_self_wake();
        record.poll_end(12, None);
        assert_eq!((record.read().unwrap().self_wakes, record.read().unwrap().polls()), ((1 << 32) + 1, 1));
    }

    #[test]
    fn who_asked_first_to_stop_is_remembered() {
        let record = TaskRecord::default();
        record.open(spawn_info(1));
        record.ask_to_stop(Cancel { by: CancelBy::Abort, at_ns: Some(3 << 30) });
        record.ask_to_stop(Cancel { by: CancelBy::SetDropped, at_ns: Some(4 << 30) });
        assert_eq!(record.cancelled(), Some(Cancel { by: CancelBy::Abort, at_ns: Some(3 << 30) }));
        assert_eq!(record.end(|| 99).0.outcome, Outcome::NeverPolled);
    }
}
