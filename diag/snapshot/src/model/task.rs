//! Live tasks.

use super::cancel::CancelBy;
use super::site::SiteIndex;
use crate::schema::{Cell, codes, table};
use crate::strings::StringIndex;
use crate::table::Table;
use crate::units::{Micros, Nanos};

/// Never-reused number of a task in its process: 44 bits, not tokio's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

impl Cell for TaskId {
    fn to_cell(self) -> u64 {
        self.0
    }

    fn from_cell(cell: u64) -> Self {
        TaskId(cell)
    }
}

/// Place of a runtime in [`Capture::runtimes`](crate::Capture::runtimes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuntimeIndex(pub u32);

impl Cell for RuntimeIndex {
    fn to_cell(self) -> u64 {
        u64::from(self.0)
    }

    fn from_cell(cell: u64) -> Self {
        RuntimeIndex(u32::try_from(cell).unwrap_or(u32::MAX))
    }
}

codes! {
    /// What a task was doing when its row was read.
    TaskState {
        /// Spawned, not polled yet.
        NeverPolled = "never polled",
        /// Returned `Pending` and waits.
        Idle = "idle",
        /// A poll was under way.
        Polling = "polling",
        /// Returned `Pending`, was woken since, and waits for a worker.
        Woken = "woken",
    }
}

table! {
    /// A live task.
    TaskRow in tasks, since 1.0 {
        /// Never reused in this process, and not tokio's id. In a file a task cannot be there twice.
        id: TaskId as Ascending;
        /// The number that tokio prints for this task, once known.
        tokio_id: Option<u64> as Delta;
        /// Where it was spawned.
        site: SiteIndex as Plain;
        /// The name given to `Builder::name`.
        name: Option<StringIndex> as Delta;
        /// The task that spawned it; none if it was spawned outside of a tracked task.
        parent: Option<TaskId> as Delta;
        /// Spawn site of the parent, which may have ended long ago.
        parent_site: Option<SiteIndex> as Plain;
        /// What it was doing; woken since 1.1.
        state: TaskState as Plain;
        /// Spawned at, by the coarse clock (a few milliseconds).
        spawned_us: u64 as Delta of Micros;
        /// Start of the poll under way, else end of the last poll (in files of 1.0 its start), by the
        /// coarse clock; none before the first, and of a task that was spawned without the recorder, which is past its first.
        last_poll_us: Option<u64> as Delta of Option<Micros>;
        /// Polls so far; 0 if they are not [known](TaskRow::polls_are_known).
        polls: u64 as Plain;
        /// Time inside polls: an estimate from sampled polls, see
        /// [`Capture::timing_one_in`](crate::Capture::timing_one_in).
        busy_ns: u64 as Plain of Nanos;
        /// The longest poll known: by the coarse clock, or exactly if it was sampled.
        longest_poll_ns: u64 as Plain of Nanos;
        /// Live clones of its waker: how many may still wake it.
        wakers: Option<u32> as Plain, since 1.1;
        /// Live `JoinHandle`s, `AbortHandle`s and entries of sets: how many may still end it.
        handles: Option<u32> as Plain, since 1.1;
        /// Times it was woken.
        wakes: Option<u64> as Plain, since 1.1;
        /// Those of them that came from its own poll.
        self_wakes: Option<u64> as Plain, since 1.1;
        /// Last woken at; none before the first wake.
        woken_us: Option<u64> as Delta of Option<Micros>, since 1.1;
        /// The task that woke it last, if a tracked one did.
        woken_by: Option<TaskId> as Delta, since 1.1;
        /// Spawn site of that task, which may have ended long ago.
        woken_by_site: Option<SiteIndex> as Plain, since 1.1;
        /// Kernel's id of the thread that woke it last, if no tracked task did.
        woken_by_thread: Option<u32> as Plain, since 1.1;
        /// Kernel's id of the thread that polls it, or polled it last.
        thread: Option<u32> as Plain, since 1.1;
        /// First asked to stop at.
        cancel_us: Option<u64> as Delta of Option<Micros>, since 1.1;
        /// By what it was asked to stop.
        cancel_by: Option<CancelBy> as Plain, since 1.1;
        /// How sure it is that nothing can wake it any more: none if something can, 0 if the runtime may still
        /// owe it a poll, 2 proves it. In files before 1.4 this counts polls of the recorder that confirmed it, and
        /// 2 proves it as well.
        lost: Option<u32> as Plain, since 1.1;
        /// The task in whose poll its last waker was dropped, if it is lost.
        displaced_by: Option<TaskId> as Delta, since 1.4;
        /// Spawn site of that task, which may have ended long ago.
        displaced_by_site: Option<SiteIndex> as Plain, since 1.4;
        /// Whether its last poll gave its waker to anything, where it waits: false of `std::future::pending()`, or of
        /// a future that returned without registering. None if that is not known.
        waker_taken: Option<bool> as Plain, since 1.5;
        /// The runtime that it is of, by its place among those of the capture; of a task that was spawned without the recorder, if
        /// it is one of these.
        runtime: Option<RuntimeIndex> as Plain, since 1.11;
        /// tokio's number of the runtime or `LocalSet` that it is of; of a task that was spawned without the recorder.
        owner: Option<u64> as Plain, since 1.11;
    }
}

impl TaskState {
    /// True of a task that may not have been polled yet: it needs no time of a poll.
    pub fn may_be_unpolled(self) -> bool {
        matches!(self, TaskState::NeverPolled | TaskState::Unknown)
    }
}

impl TaskRow {
    /// False of a task that was spawned without the recorder: nobody has seen its polls.
    pub fn polls_are_known(&self) -> bool {
        self.times().polls_are_known()
    }

    /// Since when nothing happened: the start of the poll under way, the end of the last one, or the
    /// spawn. None if its polls are not known.
    pub fn last_progress_us(&self) -> Option<u64> {
        self.times().last_progress().map(|time| time.0)
    }

    /// The part by which two snapshots are compared.
    pub fn times(&self) -> TaskTimes {
        let &TaskRow { id, site, state, spawned_us, last_poll_us, polls, .. } = self;
        let (spawned, last_poll) = (Micros(spawned_us), last_poll_us.map(Micros));
        TaskTimes { id, site, state, spawned, last_poll, polls }
    }

    /// Since when it is in its state: a woken task since the wake, any other since its last progress. None if its polls
    /// are not known.
    pub fn state_since_us(&self) -> Option<u64> {
        self.woken_us.filter(|_| self.state == TaskState::Woken).or_else(|| self.last_progress_us())
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
    pub spawned: Micros,
    /// As in [`TaskRow::last_poll_us`].
    pub last_poll: Option<Micros>,
    /// As in [`TaskRow::polls`].
    pub polls: u64,
}

impl TaskTimes {
    /// As [`TaskRow::polls_are_known`].
    pub fn polls_are_known(&self) -> bool {
        self.last_poll.is_some() || self.state.may_be_unpolled()
    }

    /// As [`TaskRow::last_progress_us`].
    pub fn last_progress(&self) -> Option<Micros> {
        self.polls_are_known().then(|| self.last_poll.unwrap_or(self.spawned))
    }
}

impl Table<TaskRow> {
    /// The times of all tasks in order, from six columns: a million of them in a tenth of the time
    /// that the whole rows take.
    pub fn times(&self) -> impl Iterator<Item = TaskTimes> {
        let names = self.id().iter().zip(self.site().iter()).zip(self.state().iter());
        let times = self.spawned_us().iter().zip(self.last_poll_us().iter()).zip(self.polls().iter());
        names.zip(times).map(|(((id, site), state), ((spawned, last_poll), polls))| TaskTimes {
            id,
            site,
            state,
            spawned,
            last_poll,
            polls,
        })
    }
}
