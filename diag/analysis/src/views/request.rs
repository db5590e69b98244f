//! The tasks of one request.

use std::collections::BTreeSet;

use diag_snapshot::{StringIndex, TaskId};
use serde::Serialize;

use super::TaskView;
use crate::Analysis;

/// The labels that say which request a task is of.
const KEYS: [&str; 2] = ["request_id", "trace_id"];
/// Bytes of a label that a service keeps. What is longer in a file is no request's id.
const MAX_ID: usize = 128;
/// So many other ids are named.
const NAMED: usize = 8;

/// The live tasks whose request or trace has one id.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RequestView {
    /// The id of the request or of the trace.
    pub id: String,
    /// How many live tasks have it.
    pub live: u64,
    /// Request ids that these have, a few of them.
    pub request_ids: Vec<String>,
    /// Trace ids that these have, a few of them.
    pub trace_ids: Vec<String>,
    /// The tasks, the oldest first.
    pub tasks: Vec<TaskView>,
    /// How many more there are.
    pub unlisted_tasks: u64,
}

impl RequestView {
    /// Returns true if a label with this key and value says which request its task is of.
    pub fn is_id(key: &str, value: &str) -> bool {
        KEYS.contains(&key) && (1..=MAX_ID).contains(&value.len())
    }
}

impl Analysis {
    /// Returns the live tasks with this as the id of their request or trace, so many of them at the most; none if no task has it.
    pub fn request_view(&self, id: &str, at_most: usize) -> Option<RequestView> {
        let snapshot = self.snapshot();
        if id.is_empty() || id.len() > MAX_ID {
            return None;
        }
        // A million labels are compared by their number.
        let texts = (0..).map(StringIndex).zip(snapshot.strings.iter());
        let same: Vec<StringIndex> = texts.filter(|(_, text)| *text == id).map(|(index, _)| index).collect();
        let labels = snapshot.labels.iter().filter(|label| same.contains(&label.value));
        let labels = labels.filter(|label| KEYS.contains(&snapshot.strings.show(label.key)));
        let tasks: BTreeSet<TaskId> = labels.map(|label| label.task).collect();
        let mut tasks: Vec<_> = tasks.into_iter().filter_map(|task| snapshot.task(task)).collect();
        tasks.sort_by_key(|task| (task.spawned_us, task.id));
        let live = tasks.len() as u64;
        let [request_ids, trace_ids] = KEYS.map(|key| {
            let of = tasks.iter().flat_map(|task| snapshot.labels_of(task.id));
            let ids: BTreeSet<&str> = of
                .filter(|(other, id)| *other == key && RequestView::is_id(key, id))
                .map(|(_, id)| id)
                .collect();
            ids.into_iter().take(NAMED).map(str::to_owned).collect()
        });
        let rows = tasks.iter().take(at_most).filter_map(|task| snapshot.tasks.id().find(task.id));
        let tasks: Vec<_> = rows.filter_map(|row| self.task_view(row as u32)).collect();
        let unlisted_tasks = live.saturating_sub(tasks.len() as u64);
        (live > 0).then(|| RequestView {
            id: id.to_owned(),
            live,
            request_ids,
            trace_ids,
            tasks,
            unlisted_tasks,
        })
    }
}
