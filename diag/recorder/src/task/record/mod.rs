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
//! | a handle gives the task's panic | after the end: `OBSERVED` Relaxed; the drop of that handle orders it before the free |
//! | pin by a capture | CAS `state + handle` only while `OWNER`, Acquire, then `task` must be the expected one |
//! | free | a panic without `OBSERVED` is counted, the runtime's waker, name and labels dropped, `task = 0` Relaxed, the record's bit given back (Release) |
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

mod beside;
mod handles;
mod polls;
#[cfg(all(test, not(diag_loom)))]
mod tests;
mod wakers;

use std::mem::ManuallyDrop;

use diag_snapshot::Outcome;

pub(crate) use polls::{Marked, PollKind, Recovered, Trace};

use super::completed::ended_as;
use super::reading::TaskReading;
use super::site::Kind;
use super::spawn::SpawnInfo;
use super::state::{HANDLE, LABELLED, LOCAL, OWNER, StateBits, UNCOUNTED_HANDLE, UNTRACED, WAKE};
use super::wake_source::WakeSource;
use crate::core_layout::{Column, column};
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
    /// The task's name and [`Labels`], or null; see [`beside`].
    beside: unmodelled::AtomicPtr<()>,
    /// Those that polls have found, and `OWED`.
    wakes: AtomicU64,
    /// The lower half; the rest is in `traces`.
    self_wakes: unmodelled::AtomicU32,
    /// The number of the stacks that the last poll left, 0 if it left none, or one of the marks below.
    stack: AtomicU32,
    longest_us: unmodelled::AtomicU32,
    /// `self wakes >> 32: 12 | polls of captures: 12 | UNRECORDED | OBSERVED | ending: 6`; ending is 0, or 1 + the index of the outcome.
    traces: AtomicU32,
}

/// What a reader of cores is told of a record.
pub(crate) const COLUMNS: [Column; 18] = [
    column!(TaskRecord, "task", shared.task),
    column!(TaskRecord, "state", shared.state),
    column!(TaskRecord, "parent", shared.parent),
    column!(TaskRecord, "spawned_ns", shared.spawned_ns),
    column!(TaskRecord, "woken_ns", shared.woken_ns),
    column!(TaskRecord, "woken_by", shared.woken_by),
    column!(TaskRecord, "thread", shared.thread),
    column!(TaskRecord, "cancel", shared.cancel),
    column!(TaskRecord, "seq", poller.seq),
    column!(TaskRecord, "moved_ns", poller.moved_ns),
    column!(TaskRecord, "busy_ns", poller.busy_ns),
    column!(TaskRecord, "tokio_id", poller.tokio_id),
    column!(TaskRecord, "beside", poller.beside),
    column!(TaskRecord, "wakes", poller.wakes),
    column!(TaskRecord, "self_wakes", poller.self_wakes),
    column!(TaskRecord, "stack", poller.stack),
    column!(TaskRecord, "longest_us", poller.longest_us),
    column!(TaskRecord, "traces", poller.traces),
];
pub(crate) const RECORD_BYTES: usize = size_of::<TaskRecord>();

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
/// A handle has given the task's panic to somebody. Set by who has a handle of a task that has ended, so that nobody else writes the
/// word any more.
const OBSERVED: u32 = 1 << 6;
const ENDING: u32 = OBSERVED - 1;
/// One poll of a capture.
const ASKED: u32 = 1 << 8;
const MAX_ASKED: u32 = (1 << 12) - 1;
/// 2^32 self wakes.
const SELF_WAKES_HIGH: u32 = 1 << 20;

#[cfg(not(all(test, diag_loom)))]
const _: () = assert!(size_of::<TaskRecord>() == 128);

/// How many times a reader tries to catch a moment without a poll before it takes what it sees.
const TRIES: usize = if cfg!(all(test, diag_loom)) { 2 } else { 4 };

impl TaskRecord {
    /// Fills a free record that belongs to the caller, and publishes it, with one handle.
    #[inline]
    pub(crate) fn open(&self, spawn: SpawnInfo) {
        let (shared, poller) = (&self.shared, &self.poller);
        // Pairs with the reader's fence: who sees a field of this task finds another `task` than before.
        fence(Ordering::Release);
        shared.parent.store(spawn.parent.word(), Ordering::Relaxed);
        shared.spawned_ns.store(spawn.spawned_ns, Ordering::Relaxed);
        shared.runtime_waker.store(std::ptr::null_mut(), Ordering::Relaxed);
        shared.woken_ns.store(0, Ordering::Relaxed);
        shared.woken_by.store(0, Ordering::Relaxed);
        shared.thread.store(0, Ordering::Relaxed);
        shared.cancel.store(0, Ordering::Relaxed);
        let (beside, labelled) = match spawn.beside {
            None => (std::ptr::null_mut(), 0),
            Some(beside) => {
                let labelled = if beside.has_labels() { LABELLED } else { 0 };
                (beside.into_raw(), labelled)
            }
        };
        poller.beside.store(beside, Ordering::Relaxed);
        poller.seq.store(0, Ordering::Relaxed);
        poller.moved_ns.store(0, Ordering::Relaxed);
        poller.wakes.store(0, Ordering::Relaxed);
        poller.traces.store(0, Ordering::Relaxed);
        poller.busy_ns.store(0, Ordering::Relaxed);
        poller.tokio_id.store(0, Ordering::Relaxed);
        poller.self_wakes.store(0, Ordering::Relaxed);
        poller.stack.store(0, Ordering::Relaxed);
        poller.longest_us.store(0, Ordering::Relaxed);
        // Release: pairs with the reader's Acquire of `task`.
        shared.task.store(spawn.task.word(), Ordering::Release);
        let kind = match spawn.kind {
            Kind::Task => 0,
            Kind::Local => LOCAL,
            Kind::Blocking => UNTRACED,
            Kind::Future => UNTRACED | UNCOUNTED_HANDLE,
        };
        let traced = if spawn.traced { 0 } else { UNTRACED };
        // Last, so that who pins the task finds all of the above.
        shared.state.store((OWNER | kind | traced | labelled) + HANDLE + WAKE, Ordering::Release);
    }

    /// The task in it, if there is one: without the rest.
    pub(crate) fn task(&self) -> Option<CurrentTask> {
        // Acquire: pairs with the Release of `open`.
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
        // Acquire: pairs with the Release of whoever gave up a waker or a handle, or woke the task.
        StateBits(self.shared.state.load(Ordering::Acquire))
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

    /// Takes back what was added, and says that there is more than what is counted, for good. The caller has one
    /// that is counted, so this is not the last. False.
    #[cold]
    fn uncount(&self, what: u64, more: u64, dropped: &'static Dropped) -> bool {
        dropped.count();
        self.shared.state.fetch_or(more, Ordering::Relaxed);
        self.shared.state.fetch_sub(what, Ordering::Relaxed);
        false
    }

    /// Empties a record that is the caller's to free; its bit is given back after this.
    #[inline]
    pub(crate) fn clear(&self) {
        if self.has_beside() {
            self.drop_beside();
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
        // Acquire: pairs with the Release of `open`.
        let task = shared.task.load(Ordering::Acquire);
        if task == 0 {
            return Some(None);
        }
        // Acquire: pairs with the Release of `poll_end`.
        let seq = poller.seq.load(Ordering::Acquire);
        let traces = poller.traces.load(Ordering::Relaxed);
        let wakes = poller.wakes.load(Ordering::Relaxed);
        let self_wakes = u64::from(traces / SELF_WAKES_HIGH) << 32;
        let reading = TaskReading {
            task: CurrentTask::from_word(task),
            parent: CurrentTask::from_word(shared.parent.load(Ordering::Relaxed)),
            spawned_ns: shared.spawned_ns.load(Ordering::Relaxed),
            has_beside: self.has_beside(),
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
