//! A task held in its record by a capture, so that it cannot go away meanwhile.

use super::context;
use super::labels::Labels;
use super::record::TaskRecord;
use crate::current::CurrentTask;

/// Lets go when it is dropped, and frees the record if the task has ended in between.
pub(crate) struct Pinned {
    record: &'static TaskRecord,
    task: CurrentTask,
}

impl Pinned {
    /// Holds `task` in `record`; `None` if it has ended.
    pub(crate) fn new(record: &'static TaskRecord, task: CurrentTask) -> Option<Self> {
        let pinned = Pinned { record, task: record.pin()? };
        (pinned.task == task).then_some(pinned)
    }

    pub(super) fn record(&self) -> &'static TaskRecord {
        self.record
    }

    /// The task's name and labels, if it has any.
    pub(crate) fn beside(&self) -> Option<Labels> {
        // SAFETY: pinned as long as `self` lives.
        unsafe { self.record.read_beside() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.record.unpin() {
            context::free_record(self.record);
        }
    }
}
