//! Tasks that ended, and those of them whose memory is still held.

use super::cancel::CancelBy;
use super::cell::{Coded, narrow, none, some};
use super::site::SiteIndex;
use super::task::TaskId;
use crate::table::{Column, Row, Target};

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Its future returned `Ready`.
    Done,
    /// Dropped unfinished after at least one poll: abort, a dropped set, runtime shutdown.
    Cancelled,
    /// A poll panicked.
    Panicked,
    /// Dropped before its first poll.
    NeverPolled,
    /// An outcome of a newer format than this reader.
    Unknown,
}

impl Coded for Outcome {
    const ALL: &'static [Self] =
        &[Outcome::Done, Outcome::Cancelled, Outcome::Panicked, Outcome::NeverPolled];
    const UNKNOWN: Self = Outcome::Unknown;
}

impl Outcome {
    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Cancelled => "cancelled",
            Outcome::Panicked => "panicked",
            Outcome::NeverPolled => "never polled",
            Outcome::Unknown => "unknown",
        }
    }
}

/// A task that ended not long before the snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndRow {
    /// Its id while it lived.
    pub id: TaskId,
    /// Where it was spawned.
    pub site: SiteIndex,
    /// How it ended.
    pub outcome: Outcome,
    /// Spawned at.
    pub spawned_us: u64,
    /// Ended at; ascending in the table.
    pub ended_us: u64,
    /// Polls in its life.
    pub polls: u64,
    /// First asked to stop at.
    pub cancel_us: Option<u64>,
    /// By what it was asked to stop.
    pub cancel_by: Option<CancelBy>,
}

impl EndRow {
    /// How it ended, in words: what it was asked, and what it did about it.
    pub fn how(&self) -> String {
        let outcome = self.outcome.as_str();
        match (self.cancel_by, self.outcome) {
            (None, _) => outcome.to_owned(),
            (Some(by), Outcome::Done) => format!("asked to stop by {}, but finished by itself", by.as_str()),
            (Some(by), Outcome::Panicked) => format!("asked to stop by {}, but panicked", by.as_str()),
            (Some(by), Outcome::NeverPolled) => format!("{outcome}, stopped by {}", by.as_str()),
            (Some(by), Outcome::Cancelled | Outcome::Unknown) => format!("{outcome} by {}", by.as_str()),
        }
    }
}

impl Row for EndRow {
    type Cells = [u64; 8];
    const TABLE: &'static str = "ends";
    const COLUMNS: &'static [Column] = &[
        Column::delta("id"),
        Column::plain("site").index(Target::Sites),
        Column::plain("outcome"),
        Column::delta("spawned_us"),
        Column::delta("ended_us"),
        Column::plain("polls"),
        Column::delta("cancel_us").optional(),
        Column::plain("cancel_by").optional(),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.id.0,
            self.site.0.into(),
            self.outcome.code(),
            self.spawned_us,
            self.ended_us,
            self.polls,
            some(self.cancel_us),
            some(self.cancel_by.map(Coded::code)),
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [id, site, outcome, spawned_us, ended_us, polls, cancel_us, cancel_by] = *cells;
        EndRow {
            id: TaskId(id),
            site: SiteIndex(narrow(site)),
            outcome: Outcome::from_code(outcome),
            spawned_us,
            ended_us,
            polls,
            cancel_us: none(cancel_us),
            cancel_by: none(cancel_by).map(CancelBy::from_code),
        }
    }
}

/// A task that ended and whose memory is still held, by a handle, an entry of a set or a waker. It is
/// not among the live tasks, and tokio does not count it either.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZombieRow {
    /// Its id while it lived; ascending in the table.
    pub id: TaskId,
    /// Where it was spawned.
    pub site: SiteIndex,
    /// How it ended.
    pub outcome: Outcome,
    /// Spawned at.
    pub spawned_us: u64,
    /// Ended at.
    pub ended_us: u64,
    /// Live `JoinHandle`s, `AbortHandle`s and entries of sets that hold it.
    pub handles: u32,
    /// Live clones of its waker that hold it.
    pub wakers: u32,
    /// At least this much memory is kept for it: the size of tokio's cell.
    pub cell_bytes: Option<u64>,
}

impl Row for ZombieRow {
    type Cells = [u64; 8];
    const TABLE: &'static str = "zombies";
    const COLUMNS: &'static [Column] = &[
        Column::ascending("id"),
        Column::plain("site").index(Target::Sites),
        Column::plain("outcome"),
        Column::delta("spawned_us"),
        Column::delta("ended_us"),
        Column::plain("handles"),
        Column::plain("wakers"),
        Column::plain("cell_bytes").optional(),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.id.0,
            self.site.0.into(),
            self.outcome.code(),
            self.spawned_us,
            self.ended_us,
            self.handles.into(),
            self.wakers.into(),
            some(self.cell_bytes),
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [id, site, outcome, spawned_us, ended_us, handles, wakers, cell_bytes] = *cells;
        ZombieRow {
            id: TaskId(id),
            site: SiteIndex(narrow(site)),
            outcome: Outcome::from_code(outcome),
            spawned_us,
            ended_us,
            handles: narrow(handles),
            wakers: narrow(wakers),
            cell_bytes: none(cell_bytes),
        }
    }
}
