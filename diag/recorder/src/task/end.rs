//! The end of a task: it is recorded when the future is gone.

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::completed::outcome_index;
use super::context;
use super::labels::in_force;
use super::lineage;
use super::record::TaskRecord;
use super::totals::{add, lifetime_bucket, raise};
use crate::clock;
use crate::current::{self, CurrentTask};

/// The end of a task: it is current while its future drops, so that what destructors do is charged
/// to it, and recorded when that is done.
pub(super) struct EndGuard {
    record: &'static TaskRecord,
    before: CurrentTask,
}

impl EndGuard {
    /// The future of `record` is about to be dropped, while `task` is the current one.
    #[inline(always)]
    pub(super) fn start(record: &'static TaskRecord, task: CurrentTask) -> Self {
        record.start_drop();
        if record.has_beside() {
            enter_labels(record, task);
        }
        EndGuard { record, before: current::replace(task) }
    }
}

impl Drop for EndGuard {
    #[inline(always)]
    fn drop(&mut self) {
        current::replace(self.before);
        count_end(self.record);
        if self.record.close() {
            context::free_record(self.record);
        }
    }
}

/// What destructors spawn, to clean up behind the task, has its labels.
#[cold]
fn enter_labels(record: &TaskRecord, task: CurrentTask) {
    // SAFETY: the caller owns the task, which ends after it has left.
    let beside = unsafe { record.beside() };
    in_force::enter_poll(beside.as_ref().and_then(|beside| beside.own()), task, None);
}

/// A task panicked, and the last who could have been told of it has gone.
#[cold]
pub(super) fn count_unobserved_panic(task: CurrentTask) {
    if crate::recording().keeps_lineage() {
        lineage::panicked(task);
    }
    let (Some(shard), Some(site)) = (context::shard(), task.site()) else { return };
    if let Some(totals) = shard.of(site) {
        add(&totals.unobserved_panics, 1);
    }
}

fn count_end(record: &TaskRecord) {
    if record.has_beside() {
        in_force::leave();
    }
    let Some(shard) = context::shard() else { return };
    let (mut end, busy_ns, longest_ns) = record.end(clock::stamp_ns);
    if end.cancel_bits == 0 && matches!(end.outcome, Outcome::Cancelled | Outcome::NeverPolled) {
        end.cancel_bits = Cancel { by: record.unasked(), at_ns: None }.bits();
    }
    shard.completed.push(end);
    #[cfg(feature = "heap")]
    crate::owner_outcomes::end(end.id, end.outcome);
    let Some(totals) = shard.of(end.site) else { return };
    add(&totals.ended[outcome_index(end.outcome)], 1);
    add(&totals.polls, end.polls);
    if busy_ns != 0 {
        add(&totals.busy_ns, busy_ns);
        raise(&totals.longest_poll_ns, longest_ns);
    }
    add(&totals.lifetimes[lifetime_bucket(end.ended_ns.saturating_sub(end.spawned_ns))], 1);
}
