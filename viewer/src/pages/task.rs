//! A live task as pages show it.

use diag_snapshot::{CancelBy, Snapshot, TaskRow};
use serde::Serialize;

use crate::loaded::Loaded;

/// Ids are strings, since a number of JSON keeps only 53 bits.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView {
    pub(crate) id: String,
    pub(crate) tokio_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) state: &'static str,
    /// What it waits for, and where; none if that is not known.
    pub(crate) waiting_at: Option<String>,
    /// True if nothing can wake it, as far as seen.
    pub(crate) lost: bool,
    pub(crate) asked_to_stop_ns: Option<u64>,
    pub(crate) asked_to_stop_by: Option<&'static str>,
    pub(crate) age_ns: u64,
    pub(crate) idle_ns: u64,
    pub(crate) polls: u64,
    pub(crate) busy_ns: u64,
    pub(crate) longest_poll_ns: u64,
    pub(crate) wakers: Option<u64>,
    pub(crate) handles: Option<u64>,
    /// Last woken so long ago.
    pub(crate) woken_ns: Option<u64>,
    /// By a task of this site, or a thread.
    pub(crate) woken_by: Option<String>,
    /// Live heap that it allocated; none without a sample of it.
    pub(crate) held_bytes: Option<f64>,
    pub(crate) parent: Option<String>,
    pub(crate) parent_site: Option<ParentSite>,
}

/// Where the parent of a task was spawned.
#[derive(Debug, Serialize)]
pub(crate) struct ParentSite {
    pub(crate) index: u32,
    pub(crate) location: String,
}

impl TaskView {
    /// The task in this row of the table, if there is one.
    pub(crate) fn new(loaded: &Loaded, row: u32) -> Option<Self> {
        let snapshot = &loaded.snapshot;
        let task = snapshot.tasks.get(row as usize)?;
        Some(TaskView {
            id: task.id.0.to_string(),
            tokio_id: task.tokio_id.map(|id| id.to_string()),
            name: task.name.map(|name| snapshot.strings.show(name).to_owned()),
            state: task.state.as_str(),
            waiting_at: loaded.parked().of(&task).map(str::to_owned),
            lost: task.lost.is_some(),
            asked_to_stop_ns: task.cancel_us.map(|us| since_ns(snapshot, us)),
            asked_to_stop_by: task.cancel_by.map(CancelBy::as_str),
            age_ns: since_ns(snapshot, task.spawned_us),
            idle_ns: since_ns(snapshot, task.last_progress_us()),
            polls: task.polls,
            busy_ns: task.busy_ns,
            longest_poll_ns: task.longest_poll_ns,
            wakers: task.wakers.map(u64::from),
            handles: task.handles.map(u64::from),
            woken_ns: task.woken_us.map(|us| since_ns(snapshot, us)),
            woken_by: woken_by(snapshot, &task),
            held_bytes: loaded.tasks().held_bytes(row),
            parent: task.parent.map(|parent| parent.0.to_string()),
            parent_site: task
                .parent_site
                .map(|site| ParentSite { index: site.0, location: snapshot.site_location(site) }),
        })
    }
}

fn woken_by(snapshot: &Snapshot, task: &TaskRow) -> Option<String> {
    let task_of = task.woken_by_site.map(|site| format!("a task of {}", snapshot.site_location(site)));
    task_of.or_else(|| task.woken_by_thread.map(|tid| format!("thread {tid}")))
}

fn since_ns(snapshot: &Snapshot, us: u64) -> u64 {
    snapshot.capture.to_us.saturating_sub(us).saturating_mul(1000)
}
