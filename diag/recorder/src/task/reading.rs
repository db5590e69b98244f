//! What a reader finds in a record: all of one task, and of one moment.
//!
//! How it is read so is the record's matter; here is what it means.

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::record::{DROPPING, NO_STACKS, STACK_MARKS};
use super::state::StateBits;
use super::wake_source::WakeSource;
use crate::current::CurrentTask;

/// One consistent reading of a record.
#[derive(Clone, Copy)]
pub(crate) struct TaskReading {
    pub(crate) task: CurrentTask,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) has_beside: bool,
    pub(crate) state: StateBits,
    /// Poll starts and ends so far: odd inside a poll.
    pub(crate) seq: u64,
    /// Polls that captures asked for and that count as none.
    pub(crate) traces: u64,
    /// One of them is under way: the task rests as before.
    pub(super) unrecorded: bool,
    /// 0 before the first poll.
    pub(crate) moved_ns: u64,
    pub(crate) busy_ns: u64,
    pub(crate) longest_us: u32,
    /// The bits of `tokio::task::Id`, 0 before the first poll.
    pub(crate) tokio_id: u64,
    pub(crate) wakes: u64,
    /// The runtime may owe the task a poll that no counted wake shows.
    pub(super) owed: bool,
    pub(crate) self_wakes: u64,
    /// The number of the stacks that the last poll left, or a mark.
    pub(super) stack: u32,
    pub(crate) woken_ns: u64,
    pub(crate) woken_by: Option<WakeSource>,
    pub(crate) thread: u32,
    pub(crate) cancel: Option<Cancel>,
    /// How it ended, once that is known.
    pub(crate) outcome: Option<Outcome>,
}

/// See the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunState {
    NeverPolled,
    Polling,
    Woken,
    Idle,
    Ended,
}

/// How sure it is that nothing can run a task again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The runtime may still owe it one poll.
    Likely,
    /// Nothing is owed.
    Proven,
}

/// What the last poll of a parked task left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkedAt {
    /// The number of the stacks at which its waker was taken.
    Stacks(u32),
    /// Nothing took its waker.
    Nothing,
}

impl TaskReading {
    pub(crate) fn run_state(&self) -> RunState {
        match self.seq {
            _ if !self.state.is_alive() => RunState::Ended,
            0 => RunState::NeverPolled,
            seq if seq % 2 == 1 && !self.unrecorded => RunState::Polling,
            _ if self.state.wakes_since(self.wakes) != 0 || self.state.may_have_come_round() => {
                RunState::Woken
            }
            _ => RunState::Idle,
        }
    }

    /// How sure it is that nothing can ever run the task again; `None` if something can. Sub-futures and tasks
    /// with wakers that nobody counts are never lost, nor is one that somebody stops.
    pub(crate) fn lost(&self) -> Option<Lost> {
        let is_over = self.outcome.is_some() || self.cancel.is_some() || self.stack == DROPPING;
        let is_lost =
            self.run_state() == RunState::Idle && !self.unrecorded && self.state.is_lost() && !is_over;
        is_lost.then_some(if self.owed { Lost::Likely } else { Lost::Proven })
    }

    /// What the task is parked at, if its last poll left that: not every poll has its stacks taken.
    pub(crate) fn parked_at(&self) -> Option<ParkedAt> {
        let is_parked = matches!(self.run_state(), RunState::Idle | RunState::Woken) && !self.unrecorded;
        match self.stack {
            _ if !is_parked => None,
            NO_STACKS => Some(ParkedAt::Nothing),
            stack => (stack > 0 && stack < STACK_MARKS).then_some(ParkedAt::Stacks(stack)),
        }
    }

    /// A capture asked it for a poll that has not ended.
    pub(crate) fn is_owed_a_trace(&self) -> bool {
        self.state.is_owed_a_trace()
    }

    /// Polls begun, without those of captures.
    pub(crate) fn polls(&self) -> u64 {
        polls(self.seq - u64::from(self.unrecorded), self.traces)
    }

    /// Wakes so far, without the one that every spawn is.
    pub(crate) fn wakes(&self) -> u64 {
        (self.wakes + u64::from(self.state.wakes_since(self.wakes))).saturating_sub(1)
    }
}

/// Polls begun by this `seq`, without the captures' own.
#[inline]
pub(super) fn polls(seq: u64, traces: u64) -> u64 {
    seq.div_ceil(2).saturating_sub(traces)
}
