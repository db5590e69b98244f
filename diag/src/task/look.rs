//! What a reader finds in a slot: all of one task, and of one moment.
//!
//! How it is read so is the slot's matter; here is what it means.

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::slot::Waked;
use super::word::Word;
use crate::current::CurrentTask;

/// One consistent look at a slot.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) task: CurrentTask,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) labelled: bool,
    pub(crate) word: Word,
    /// Poll starts and ends so far: odd inside a poll.
    pub(crate) seq: u64,
    /// Polls that captures asked for and that count as none.
    pub(crate) traces: u64,
    /// One of them is under way: the task rests as before.
    pub(super) quiet: bool,
    /// 0 before the first poll.
    pub(crate) moved_ns: u64,
    pub(crate) busy_ns: u64,
    pub(crate) longest_us: u32,
    /// The bits of `tokio::task::Id`, 0 before the first poll.
    pub(crate) tokio_id: u64,
    pub(crate) wakes: u64,
    pub(crate) self_wakes: u64,
    pub(crate) woken_ns: u64,
    pub(crate) woken_by: Option<Waked>,
    pub(crate) thread: u32,
    pub(crate) cancel: Option<Cancel>,
    /// How it ended, once that is known.
    pub(crate) outcome: Option<Outcome>,
}

/// See the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    NeverPolled,
    Polling,
    Woken,
    Idle,
    Ended,
}

impl Look {
    pub(crate) fn state(&self) -> State {
        match self.seq {
            _ if !self.word.is_alive() => State::Ended,
            0 => State::NeverPolled,
            seq if seq % 2 == 1 && !self.quiet => State::Polling,
            _ if self.word.wakes() != self.wakes as u16 => State::Woken,
            _ => State::Idle,
        }
    }

    /// Idle, and nothing can wake it as it seems. Sub-futures and tasks with a foreign waker, whose
    /// wakers nobody counts, never are.
    pub(crate) fn is_suspect(&self) -> bool {
        self.state() == State::Idle && !self.quiet && self.has_no_waker()
    }

    /// No waker of it is left, if they were counted.
    pub(crate) fn has_no_waker(&self) -> bool {
        self.word.is_lost()
    }

    /// A capture asked it for a poll that has not ended.
    pub(crate) fn is_owed_a_trace(&self) -> bool {
        self.word.is_owed_a_trace()
    }

    /// Polls begun, without those of captures.
    pub(crate) fn polls(&self) -> u64 {
        polls(self.seq - u64::from(self.quiet), self.traces)
    }

    /// Wakes so far, without the one that every spawn is.
    pub(crate) fn wakes(&self) -> u64 {
        let unseen = self.word.wakes().wrapping_sub(self.wakes as u16);
        (self.wakes + u64::from(unseen)).saturating_sub(1)
    }
}

/// Polls begun by this `seq`, without the captures' own.
#[inline]
pub(super) fn polls(seq: u64, traces: u64) -> u64 {
    seq.div_ceil(2).saturating_sub(traces)
}
