//! Live tasks.

use super::cancel::CancelBy;
use super::cell::{Coded, narrow, none, some};
use super::site::SiteIndex;
use crate::strings::StringIndex;
use crate::table::{Column, Row, Table, Target};

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
    /// Returned `Pending`, was woken since, and waits for a worker.
    Woken,
    /// A state of a newer format than this reader.
    Unknown,
}

impl Coded for TaskState {
    const ALL: &'static [Self] =
        &[TaskState::NeverPolled, TaskState::Idle, TaskState::Polling, TaskState::Woken];
    const UNKNOWN: Self = TaskState::Unknown;
}

impl TaskState {
    /// What stands for it in the column `state`.
    pub fn number(self) -> u64 {
        self.code()
    }

    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::NeverPolled => "never polled",
            TaskState::Idle => "idle",
            TaskState::Polling => "polling",
            TaskState::Woken => "woken",
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
    /// Start of the poll under way, else end of the last poll (in files of 1.0 its start), by the
    /// coarse clock; none before the first.
    pub last_poll_us: Option<u64>,
    /// Polls so far.
    pub polls: u64,
    /// Time inside polls: an estimate from sampled polls, see [`Capture::timing_one_in`](crate::Capture::timing_one_in).
    pub busy_ns: u64,
    /// The longest poll known: by the coarse clock, or exactly if it was sampled.
    pub longest_poll_ns: u64,
    /// Live clones of its waker: how many may still wake it.
    pub wakers: Option<u32>,
    /// Live `JoinHandle`s, `AbortHandle`s and entries of sets: how many may still end it.
    pub handles: Option<u32>,
    /// Times it was woken.
    pub wakes: Option<u64>,
    /// Those of them that came from its own poll.
    pub self_wakes: Option<u64>,
    /// Last woken at; none before the first wake.
    pub woken_us: Option<u64>,
    /// The task that woke it last, if a tracked one did.
    pub woken_by: Option<TaskId>,
    /// Spawn site of that task, which may have ended long ago.
    pub woken_by_site: Option<SiteIndex>,
    /// Kernel's id of the thread that woke it last, if no tracked task did.
    pub woken_by_thread: Option<u32>,
    /// Kernel's id of the thread that polls it, or polled it last.
    pub thread: Option<u32>,
    /// First asked to stop at.
    pub cancel_us: Option<u64>,
    /// By what it was asked to stop.
    pub cancel_by: Option<CancelBy>,
    /// How sure it is that nothing can wake it any more: none if something can, 0 if the runtime may still owe it
    /// a poll, 2 proves it. In files before 1.4 this counts polls of the recorder that confirmed it.
    pub lost: Option<u32>,
    /// The task in whose poll its last waker was dropped, if it is lost.
    pub displaced_by: Option<TaskId>,
    /// Spawn site of that task, which may have ended long ago.
    pub displaced_by_site: Option<SiteIndex>,
}

impl TaskRow {
    /// A task that was spawned and nothing else.
    pub fn new(id: TaskId, site: SiteIndex, spawned_us: u64) -> Self {
        TaskRow {
            id,
            tokio_id: None,
            site,
            name: None,
            parent: None,
            parent_site: None,
            state: TaskState::NeverPolled,
            spawned_us,
            last_poll_us: None,
            polls: 0,
            busy_ns: 0,
            longest_poll_ns: 0,
            wakers: None,
            handles: None,
            wakes: None,
            self_wakes: None,
            woken_us: None,
            woken_by: None,
            woken_by_site: None,
            woken_by_thread: None,
            thread: None,
            cancel_us: None,
            cancel_by: None,
            lost: None,
            displaced_by: None,
            displaced_by_site: None,
        }
    }

    /// Since when nothing happened: the start of the poll under way, the end of the last one, or the
    /// spawn.
    pub fn last_progress_us(&self) -> u64 {
        self.last_poll_us.unwrap_or(self.spawned_us)
    }

    /// The part by which two snapshots are compared.
    pub fn times(&self) -> TaskTimes {
        let &TaskRow { id, site, state, spawned_us, last_poll_us, polls, .. } = self;
        TaskTimes { id, site, state, spawned_us, last_poll_us, polls }
    }

    /// Since when it is in its state: a woken task since the wake, any other since its last progress.
    pub fn state_since_us(&self) -> u64 {
        let woken_us = self.woken_us.filter(|_| self.state == TaskState::Woken);
        woken_us.unwrap_or_else(|| self.last_progress_us())
    }
}

/// When a task did what: the part of a [`TaskRow`] by which two snapshots are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskTimes {
    /// As in [`TaskRow::id`].
    pub id: TaskId,
    /// As in [`TaskRow::site`].
    pub site: SiteIndex,
    /// As in [`TaskRow::state`].
    pub state: TaskState,
    /// As in [`TaskRow::spawned_us`].
    pub spawned_us: u64,
    /// As in [`TaskRow::last_poll_us`].
    pub last_poll_us: Option<u64>,
    /// As in [`TaskRow::polls`].
    pub polls: u64,
}

impl TaskTimes {
    /// As [`TaskRow::last_progress_us`].
    pub fn last_progress_us(&self) -> u64 {
        self.last_poll_us.unwrap_or(self.spawned_us)
    }
}

impl Table<TaskRow> {
    /// The times of all tasks in order, from six columns: a million of them in a tenth of the time
    /// that the whole rows take.
    pub fn times(&self) -> impl Iterator<Item = TaskTimes> {
        let names = ["id", "site", "state", "spawned_us", "last_poll_us", "polls"];
        let columns = names.map(|name| self.column(name));
        (0..self.len()).map(move |i| {
            let [id, site, state, spawned_us, last_poll_us, polls] =
                columns.map(|column| column.get(i).copied().unwrap_or(0));
            TaskTimes {
                id: TaskId(id),
                site: SiteIndex(narrow(site)),
                state: TaskState::from_code(state),
                spawned_us,
                last_poll_us: none(last_poll_us),
                polls,
            }
        })
    }
}

impl Row for TaskRow {
    type Cells = [u64; 26];
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
        Column::plain("wakers").optional(),
        Column::plain("handles").optional(),
        Column::plain("wakes").optional(),
        Column::plain("self_wakes").optional(),
        Column::delta("woken_us").optional(),
        Column::delta("woken_by").optional(),
        Column::plain("woken_by_site").optional().index(Target::Sites),
        Column::plain("woken_by_thread").optional(),
        Column::plain("thread").optional(),
        Column::delta("cancel_us").optional(),
        Column::plain("cancel_by").optional(),
        Column::plain("lost").optional(),
        Column::delta("displaced_by").optional(),
        Column::plain("displaced_by_site").optional().index(Target::Sites),
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
            some(self.wakers),
            some(self.handles),
            some(self.wakes),
            some(self.self_wakes),
            some(self.woken_us),
            some(self.woken_by.map(|task| task.0)),
            some(self.woken_by_site.map(|site| site.0)),
            some(self.woken_by_thread),
            some(self.thread),
            some(self.cancel_us),
            some(self.cancel_by.map(Coded::code)),
            some(self.lost),
            some(self.displaced_by.map(|task| task.0)),
            some(self.displaced_by_site.map(|site| site.0)),
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [
            id,
            tokio_id,
            site,
            name,
            parent,
            parent_site,
            state,
            spawned_us,
            last_poll_us,
            polls,
            busy_ns,
            longest_poll_ns,
            wakers,
            handles,
            wakes,
            self_wakes,
            woken_us,
            woken_by,
            woken_by_site,
            woken_by_thread,
            thread,
            cancel_us,
            cancel_by,
            lost,
            displaced_by,
            displaced_by_site,
        ] = *cells;
        TaskRow {
            id: TaskId(id),
            tokio_id: none(tokio_id),
            site: SiteIndex(narrow(site)),
            name: none(name).map(|name| StringIndex(narrow(name))),
            parent: none(parent).map(TaskId),
            parent_site: none(parent_site).map(|site| SiteIndex(narrow(site))),
            state: TaskState::from_code(state),
            spawned_us,
            last_poll_us: none(last_poll_us),
            polls,
            busy_ns,
            longest_poll_ns,
            wakers: none(wakers).map(narrow),
            handles: none(handles).map(narrow),
            wakes: none(wakes),
            self_wakes: none(self_wakes),
            woken_us: none(woken_us),
            woken_by: none(woken_by).map(TaskId),
            woken_by_site: none(woken_by_site).map(|site| SiteIndex(narrow(site))),
            woken_by_thread: none(woken_by_thread).map(narrow),
            thread: none(thread).map(narrow),
            cancel_us: none(cancel_us),
            cancel_by: none(cancel_by).map(CancelBy::from_code),
            lost: none(lost).map(narrow),
            displaced_by: none(displaced_by).map(TaskId),
            displaced_by_site: none(displaced_by_site).map(|site| SiteIndex(narrow(site))),
        }
    }
}
