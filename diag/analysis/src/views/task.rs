//! A live task.

use std::collections::BTreeMap;
use std::fmt;

use diag_snapshot::{CancelBy, Snapshot, TaskRow, TaskState};
use serde::{Serialize, Serializer};

use super::{SiteRef, ago_ns};
use crate::source_location::{SourceLocation, plain_path};
use crate::{Analysis, human};

/// A live task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskView {
    /// Its number in the process.
    pub id: String,
    /// Tokio's id of it.
    pub tokio_id: Option<String>,
    /// The name that it was given.
    pub name: Option<String>,
    /// What it is for: values by their keys.
    pub labels: BTreeMap<String, String>,
    /// Where it was spawned.
    pub site: SiteRef,
    /// What it was doing.
    pub state: &'static str,
    /// For how long it has been in that state; none if its polls are not known, as of a task that a library spawned.
    pub in_state_ns: Option<u64>,
    /// The line of a library in which it was spawned; none of what the service spawns itself.
    pub spawned_in: Option<String>,
    /// The runtime that it is of, by its name, or by tokio's number of it or of a `LocalSet`; none of a task that the recorder has seen spawn.
    pub runtime: Option<String>,
    /// What it waits for, and where; none if that is not known.
    pub waiting_at: Option<String>,
    /// The own lines that await that one, from the nearest one outwards: `serve (src/server.rs:12)`.
    pub awaited_by: Vec<String>,
    /// True if nothing can wake it, as far as seen.
    pub lost: bool,
    /// In a poll of a task of this site its last waker was dropped, if it is lost.
    pub displaced_by: Option<SiteRef>,
    /// Asked to stop so long ago.
    pub asked_to_stop_ns: Option<u64>,
    /// By what.
    pub asked_to_stop_by: Option<&'static str>,
    /// Time since its spawn.
    pub age_ns: u64,
    /// Time since its last poll, or its spawn; this and the next three none if its polls are not known.
    pub idle_ns: Option<u64>,
    /// Polls so far.
    pub polls: Option<u64>,
    /// Time inside them, estimated.
    pub busy_ns: Option<u64>,
    /// The longest of them.
    pub longest_poll_ns: Option<u64>,
    /// Clones of its waker that live.
    pub wakers: Option<u64>,
    /// Handles and entries of sets that live.
    pub handles: Option<u64>,
    /// Times it was woken.
    pub wakes: Option<u64>,
    /// Those of them that came from its own poll.
    pub self_wakes: Option<u64>,
    /// Last woken so long ago.
    pub woken_ns: Option<u64>,
    /// By whom.
    pub woken_by: Option<WokenBy>,
    /// Live heap that it allocated; none without a sample of it.
    pub held_bytes: Option<u64>,
    /// The task that spawned it.
    pub parent: Option<String>,
    /// Where that was spawned.
    pub parent_site: Option<SiteRef>,
}

/// Who woke a task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WokenBy {
    /// Its own poll.
    Itself,
    /// A task of this site.
    Task(SiteRef),
    /// A thread that polled no tracked task, by the kernel's id.
    Thread(u32),
}

/// `itself`, `a task of src/hub.rs:86:9`, `thread 4712`.
impl fmt::Display for WokenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WokenBy::Itself => f.write_str("itself"),
            WokenBy::Task(site) => write!(f, "a task of {}", site.location),
            WokenBy::Thread(tid) => write!(f, "thread {tid}"),
        }
    }
}

impl Serialize for WokenBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Analysis {
    /// Returns the task in this row of the task table, if there is one.
    pub fn task_view(&self, row: u32) -> Option<TaskView> {
        let task = self.snapshot().tasks.get(row as usize)?;
        Some(TaskView::new(self, &task, self.tasks().allocated_bytes(row)))
    }

    /// The own lines that await a wait with this text.
    pub(super) fn awaited_by(&self, waits: &str) -> Vec<String> {
        let line = |place: &SourceLocation| {
            // Where no file is known, the location is the function.
            if place.file.is_none() {
                return place.location();
            }
            let function = plain_path(&place.function);
            match function.rsplit("::").next() {
                // Of what is inlined there may be no more of a name than `{async_block#0}`.
                None | Some("") => place.location(),
                Some(function) => format!("{} ({})", human::name(function), place.location()),
            }
        };
        self.await_points().chain(waits).iter().map(line).collect()
    }

    /// Returns every live task, by ascending id.
    pub fn task_views(&self) -> impl Iterator<Item = TaskView> {
        (0..self.snapshot().tasks.len() as u32).filter_map(|row| self.task_view(row))
    }
}

impl TaskView {
    pub(super) fn new(analysis: &Analysis, task: &TaskRow, allocated_bytes: Option<f64>) -> Self {
        let snapshot = analysis.snapshot();
        let site = |site| SiteRef::new(snapshot, site);
        let of_polls = |value| task.polls_are_known().then_some(value);
        let waiting_at = analysis.await_points().of(task);
        TaskView {
            id: task.id.0.to_string(),
            tokio_id: task.tokio_id.map(|id| id.to_string()),
            name: task.name.map(|name| snapshot.strings.show(name).to_owned()),
            labels: (snapshot.labels_of(task.id))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            site: site(task.site),
            state: task.state.as_str(),
            spawned_in: analysis.spawned_in(task.site).map(str::to_owned),
            runtime: runtime(snapshot, task),
            in_state_ns: task.state_since_us().map(|us| ago_ns(snapshot, us)),
            waiting_at: waiting_at.map(str::to_owned),
            awaited_by: waiting_at.map(|waits| analysis.awaited_by(waits)).unwrap_or_default(),
            lost: task.lost.is_some(),
            displaced_by: task.displaced_by_site.map(site),
            asked_to_stop_ns: task.cancel_us.map(|us| ago_ns(snapshot, us)),
            asked_to_stop_by: task.cancel_by.map(CancelBy::as_str),
            age_ns: ago_ns(snapshot, task.spawned_us),
            idle_ns: task.last_progress_us().map(|us| ago_ns(snapshot, us)),
            polls: of_polls(task.polls),
            busy_ns: of_polls(task.busy_ns),
            longest_poll_ns: of_polls(task.longest_poll_ns),
            wakers: task.wakers.map(u64::from),
            handles: task.handles.map(u64::from),
            wakes: task.wakes,
            self_wakes: task.self_wakes,
            woken_ns: task.woken_us.map(|us| ago_ns(snapshot, us)),
            woken_by: woken_by(snapshot, task),
            held_bytes: allocated_bytes.map(|bytes| bytes.round() as u64),
            parent: task.parent.map(|parent| parent.0.to_string()),
            parent_site: task.parent_site.map(site),
        }
    }

    /// Returns true if the task returned `Pending` and waits.
    pub fn is_idle(&self) -> bool {
        self.state == TaskState::Idle.as_str()
    }
}

fn runtime(snapshot: &Snapshot, task: &TaskRow) -> Option<String> {
    let known = task.runtime.and_then(|runtime| snapshot.capture.runtimes.get(runtime.0 as usize));
    let unnamed = || task.owner.map(|owner| format!("{owner} (or a LocalSet)"));
    known.map(|runtime| human::name(&runtime.name)).or_else(unnamed)
}

fn woken_by(snapshot: &Snapshot, task: &TaskRow) -> Option<WokenBy> {
    match (task.woken_by_site, task.woken_by_thread) {
        (Some(_), _) if task.woken_by == Some(task.id) => Some(WokenBy::Itself),
        (Some(site), _) => Some(WokenBy::Task(SiteRef::new(snapshot, site))),
        (None, tid) => tid.map(WokenBy::Thread),
    }
}
