//! The wakers of a task: ours, which are counted, and the runtime's, which the record keeps.

use std::mem::ManuallyDrop;
use std::task::{RawWaker, Waker};

use super::super::runtime_waker;
use super::super::state::{FOREIGN, HALF_ROUND, ROUND, RUNTIME_WAKER, StateBits, TRACE, WAKE, WAKER};
use super::super::wake_source::WakeSource;
use super::{MAX_ASKED, TaskRecord, asked};
use crate::current::CurrentTask;
use crate::dropped::Dropped;
use crate::sync::atomic::Ordering;

static FOREIGN_WAKERS: Dropped = Dropped::new(
    "tasks_with_foreign_wakers",
    "a task was not polled by tokio, so its wakers are not counted",
);
static TOO_MANY_WAKERS: Dropped = Dropped::new(
    "wakers_uncounted",
    "a waker is not counted, as its task has millions, so that task is never called lost",
);

impl TaskRecord {
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

    /// A clone of the runtime's own waker, for the holder of one of ours.
    #[cold]
    pub(crate) fn runtimes_clone(&self) -> Waker {
        // SAFETY: the caller holds a waker, which keeps the runtime's alive, or is inside the poll that borrows it.
        (*unsafe { self.borrowed_runtime_waker() }).clone()
    }

    /// One clone less, dropped while `by` was the current task. True if the record is now the caller's to free.
    #[inline]
    pub(crate) fn drop_waker(&self, by: CurrentTask) -> bool {
        // Release: a reader that misses this waker sees what its holder did before. Acquire: who frees sees all of that.
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
    pub(super) fn end_half(&self) {
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
        // Release: pairs with the Acquire of the state at the poll's start. Acquire: with the Release of the trace before.
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
    pub(super) fn has_runtime_waker(&self) -> bool {
        self.shared.state.load(Ordering::Relaxed) & RUNTIME_WAKER != 0
    }

    /// The runtime's waker of this task, not to be dropped.
    ///
    /// # Safety
    /// It is alive: a poll is under way, or `RUNTIME_WAKER` is set and the record is held.
    pub(super) unsafe fn borrowed_runtime_waker(&self) -> ManuallyDrop<Waker> {
        let Some(table) = runtime_waker::table() else { return ManuallyDrop::new(Waker::noop().clone()) };
        // SAFETY: data and table of the runtime's own waker; `Tracked` compared the table, and a task
        // with another one never comes here. It is alive, as the caller says.
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(self.runtime_waker(), table)) })
    }
}
