//! The handles of a task, and who asks it to stop by one.

use diag_snapshot::{CancelBy, Outcome};

use super::super::cancel::Cancel;
use super::super::completed::ending_bits;
use super::super::state::{HANDLE, LOCAL, StateBits, UNCOUNTED_HANDLE};
use super::{ENDING, OBSERVED, TaskRecord};
use crate::current::CurrentTask;
use crate::dropped::Dropped;
use crate::sync::atomic::Ordering;

static TOO_MANY_HANDLES: Dropped = Dropped::new(
    "handles_uncounted",
    "a handle is not counted, as its task has 32,768, so who cancels that task may be unknown",
);

impl TaskRecord {
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

    /// A handle gives the task's panic to whoever awaits it.
    #[cold]
    pub(crate) fn observe_panic(&self) {
        self.poller.traces.fetch_or(OBSERVED, Ordering::Relaxed);
    }

    /// True if the task panicked, and no handle gave that to anybody: of a record that is the caller's to free. Of handles that are
    /// not counted nobody knows.
    #[inline]
    pub(crate) fn has_unobserved_panic(&self) -> bool {
        let ending = self.poller.traces.load(Ordering::Relaxed) & (OBSERVED | ENDING);
        ending == ending_bits(Outcome::Panicked) && !self.state().has(UNCOUNTED_HANDLE)
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

    /// Keeps whichever task is in this record until [`unpin`](TaskRecord::unpin), and says which one it is;
    /// `None` if there is none that lives.
    pub(crate) fn pin(&self) -> Option<CurrentTask> {
        let take = |state: u64| StateBits(state).can_be_pinned().then_some(state + HANDLE);
        // Acquire: pairs with the Release of `open`: the fields are those of the task that is pinned.
        self.shared.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).ok()?;
        Some(self.current())
    }

    /// True if the task has ended meanwhile and the record is now the caller's to free.
    pub(crate) fn unpin(&self) -> bool {
        self.give_up(HANDLE)
    }
}
