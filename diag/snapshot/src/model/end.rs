//! Tasks that ended, and those of them whose memory is still held.

use super::cancel::CancelBy;
use super::site::SiteIndex;
use super::task::TaskId;
use crate::schema::{codes, table};
use crate::units::{Bytes, Micros};

codes! {
    /// How a task ended.
    Outcome {
        /// Its future returned `Ready`.
        Done = "done",
        /// Dropped unfinished after at least one poll: abort, a dropped set, runtime shutdown.
        Cancelled = "cancelled",
        /// A poll panicked.
        Panicked = "panicked",
        /// Dropped before its first poll.
        NeverPolled = "never polled",
    }
}

table! {
    /// A task that ended not long before the snapshot.
    EndRow in ends, since 1.0 {
        /// Its id while it lived.
        id: TaskId as Delta;
        /// Where it was spawned.
        site: SiteIndex as Plain;
        /// How it ended.
        outcome: Outcome as Plain;
        /// Spawned at.
        spawned_us: u64 as Delta of Micros;
        /// Ended at; ascending in the table.
        ended_us: u64 as Delta of Micros;
        /// Polls in its life.
        polls: u64 as Plain;
        /// First asked to stop at.
        cancel_us: Option<u64> as Delta of Option<Micros>, since 1.1;
        /// By what it was asked to stop.
        cancel_by: Option<CancelBy> as Plain, since 1.1;
    }
}

impl EndRow {
    /// How it ended, in words: what it was asked, and what it did about it.
    pub fn how(&self) -> String {
        let outcome = self.outcome.as_str();
        let Some(by) = self.cancel_by.map(CancelBy::words) else { return outcome.to_owned() };
        match self.outcome {
            Outcome::Done => format!("asked to stop by {by}, but finished by itself"),
            Outcome::Panicked => format!("asked to stop by {by}, but panicked"),
            Outcome::NeverPolled => format!("{outcome}, stopped by {by}"),
            Outcome::Cancelled | Outcome::Unknown => format!("{outcome} by {by}"),
        }
    }
}

impl ZombieRow {
    /// False if `ended_us` is when it was first found ended.
    pub fn is_end_seen(&self) -> bool {
        self.end_seen != Some(false)
    }
}

table! {
    /// A task that ended and whose memory is still held, by a handle, an entry of a set or a waker. It is
    /// not among the live tasks, and tokio does not count it either.
    ZombieRow in zombies, since 1.1 {
        /// Its id while it lived; ascending in the table.
        id: TaskId as Ascending;
        /// Where it was spawned.
        site: SiteIndex as Plain;
        /// How it ended.
        outcome: Outcome as Plain;
        /// Spawned at.
        spawned_us: u64 as Delta of Micros;
        /// Ended at; if nobody saw that, first found ended at, which is the latest that it can have been.
        ended_us: u64 as Delta of Micros;
        /// Live `JoinHandle`s, `AbortHandle`s and entries of sets that hold it; of a task that was spawned without the recorder
        /// only its `JoinHandle`.
        handles: u32 as Plain;
        /// Live clones of its waker that hold it, if they are told apart.
        wakers: u32 as Plain;
        /// At least this much memory is kept for it: the size of tokio's cell.
        cell_bytes: Option<u64> as Plain of Option<Bytes>;
        /// False if nobody saw it end, as it was spawned without the recorder: of when and how it ended a snapshot knows what
        /// it finds.
        end_seen: Option<bool> as Plain, since 1.11;
        /// What else holds it: `AbortHandle`s and clones of its waker, which nothing tells apart; and its `JoinHandle` where tokio
        /// does not tell of an ended task whether it is there.
        references: Option<u32> as Plain, since 1.11;
    }
}
