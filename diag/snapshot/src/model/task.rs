//! Tasks, alive and ended.

use super::cell::{narrow, none, some};
use super::site::SiteIndex;
use crate::strings::StringIndex;
use crate::table::{Column, Row, Target};

/// Never-reused number of a task in its process: 44 bits, not tokio's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// What a task was doing when its row was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// Spawned, not polled yet.
    NeverPolled,
    /// Returned `Pending` and waits.
    Idle,
    /// A poll was under way.
    Polling,
    /// A state of a newer format than this reader.
    Unknown,
}

impl TaskState {
    const CODES: [TaskState; 3] = [TaskState::NeverPolled, TaskState::Idle, TaskState::Polling];

    fn code(self) -> u64 {
        Self::CODES.iter().position(|&state| state == self).unwrap_or(255) as u64
    }

    fn from_code(code: u64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::CODES.get(i)).copied().unwrap_or(TaskState::Unknown)
    }

    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::NeverPolled => "never polled",
            TaskState::Idle => "idle",
            TaskState::Polling => "polling",
            TaskState::Unknown => "unknown",
        }
    }
}

/// A live task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskRow {
    /// Never reused in this process; ascending in the table, so that a task cannot be there twice.
    pub id: TaskId,
    /// The number that tokio prints for this task, once known.
    pub tokio_id: Option<u64>,
    /// Where it was spawned.
    pub site: SiteIndex,
    /// The name given to `Builder::name`.
    pub name: Option<StringIndex>,
    /// The task that spawned it; none if it was spawned outside of a tracked task.
    pub parent: Option<TaskId>,
    /// Spawn site of the parent, which may have ended long ago.
    pub parent_site: Option<SiteIndex>,
    /// What it was doing.
    pub state: TaskState,
    /// Spawned at, by the coarse clock (a few milliseconds).
    pub spawned_us: u64,
    /// Start of the last poll, by the coarse clock; none before the first.
    pub last_poll_us: Option<u64>,
    /// Polls so far.
    pub polls: u64,
    /// Time inside polls: an estimate from sampled polls, see [`Capture::timing_one_in`](crate::Capture::timing_one_in).
    pub busy_ns: u64,
    /// The longest poll known: by the coarse clock, or exactly if it was sampled.
    pub longest_poll_ns: u64,
}

impl TaskRow {
    /// Since when nothing happened: the start of the last poll, or the spawn.
    pub fn last_progress_us(&self) -> u64 {
        self.last_poll_us.unwrap_or(self.spawned_us)
    }
}

impl Row for TaskRow {
    type Cells = [u64; 12];
    const TABLE: &'static str = "tasks";
    const COLUMNS: &'static [Column] = &[
        Column::ascending("id"),
        Column::delta("tokio_id").optional(),
        Column::plain("site").index(Target::Sites),
        Column::delta("name").optional().index(Target::Strings),
        Column::delta("parent").optional(),
        Column::plain("parent_site").optional().index(Target::Sites),
        Column::plain("state"),
        Column::delta("spawned_us"),
        Column::delta("last_poll_us").optional(),
        Column::plain("polls"),
        Column::plain("busy_ns"),
        Column::plain("longest_poll_ns"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.id.0,
            some(self.tokio_id),
            self.site.0.into(),
            some(self.name.map(|name| name.0)),
            some(self.parent.map(|parent| parent.0)),
            some(self.parent_site.map(|site| site.0)),
            self.state.code(),
            self.spawned_us,
            some(self.last_poll_us),
            self.polls,
            self.busy_ns,
            self.longest_poll_ns,
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [id, tokio_id, site, name, parent, parent_site, state, spawned, last_poll, polls, busy, longest] =
            *cells;
        TaskRow {
            id: TaskId(id),
            tokio_id: none(tokio_id),
            site: SiteIndex(narrow(site)),
            name: none(name).map(|name| StringIndex(narrow(name))),
            parent: none(parent).map(TaskId),
            parent_site: none(parent_site).map(|site| SiteIndex(narrow(site))),
            state: TaskState::from_code(state),
            spawned_us: spawned,
            last_poll_us: none(last_poll),
            polls,
            busy_ns: busy,
            longest_poll_ns: longest,
        }
    }
}

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

impl Outcome {
    const CODES: [Outcome; 4] = [Outcome::Done, Outcome::Cancelled, Outcome::Panicked, Outcome::NeverPolled];

    fn code(self) -> u64 {
        Self::CODES.iter().position(|&outcome| outcome == self).unwrap_or(255) as u64
    }

    fn from_code(code: u64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::CODES.get(i)).copied().unwrap_or(Outcome::Unknown)
    }

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
}

impl Row for EndRow {
    type Cells = [u64; 6];
    const TABLE: &'static str = "ends";
    const COLUMNS: &'static [Column] = &[
        Column::delta("id"),
        Column::plain("site").index(Target::Sites),
        Column::plain("outcome"),
        Column::delta("spawned_us"),
        Column::delta("ended_us"),
        Column::plain("polls"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [self.id.0, self.site.0.into(), self.outcome.code(), self.spawned_us, self.ended_us, self.polls]
    }

    fn from_cells(&[id, site, outcome, spawned_us, ended_us, polls]: &Self::Cells) -> Self {
        EndRow {
            id: TaskId(id),
            site: SiteIndex(narrow(site)),
            outcome: Outcome::from_code(outcome),
            spawned_us,
            ended_us,
            polls,
        }
    }
}
