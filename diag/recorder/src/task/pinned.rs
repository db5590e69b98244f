//! A task held in its slot by a capture, so that it cannot go away meanwhile.

use super::local;
use super::slot::Slot;
use crate::current::CurrentTask;

/// Lets go when it is dropped, and frees the slot if the task has ended in between.
pub(crate) struct Pinned {
    slot: &'static Slot,
    task: CurrentTask,
}

impl Pinned {
    /// Holds `task` in `slot`; `None` if it has ended.
    pub(crate) fn new(slot: &'static Slot, task: CurrentTask) -> Option<Self> {
        let pinned = Pinned { slot, task: slot.pin()? };
        (pinned.task == task).then_some(pinned)
    }

    pub(super) fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// The task's name, if it has one.
    pub(crate) fn label(&self) -> Option<&str> {
        // SAFETY: pinned as long as `self` lives.
        unsafe { self.slot.label() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.slot.unpin() {
            local::free_slot(self.slot);
        }
    }
}
