//! A live task as pages show it.

use diag_snapshot::Snapshot;
use serde::Serialize;

use crate::loaded::Loaded;

/// Ids are strings, since a number of JSON keeps only 53 bits.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView {
    pub(crate) id: String,
    pub(crate) tokio_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) age_ns: u64,
    pub(crate) idle_ns: u64,
    pub(crate) polls: u64,
    pub(crate) busy_ns: u64,
    pub(crate) longest_poll_ns: u64,
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
            age_ns: since_ns(snapshot, task.spawned_us),
            idle_ns: since_ns(snapshot, task.last_progress_us()),
            polls: task.polls,
            busy_ns: task.busy_ns,
            longest_poll_ns: task.longest_poll_ns,
            held_bytes: loaded.tasks().held_bytes(row),
            parent: task.parent.map(|parent| parent.0.to_string()),
            parent_site: task
                .parent_site
                .map(|site| ParentSite { index: site.0, location: snapshot.site_location(site) }),
        })
    }
}

fn since_ns(snapshot: &Snapshot, us: u64) -> u64 {
    snapshot.capture.to_us.saturating_sub(us).saturating_mul(1000)
}
