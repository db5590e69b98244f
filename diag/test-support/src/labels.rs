//! Labels of live tasks.

use diag_snapshot::{LabelRow, Snapshot, TaskRow};

/// Each live task has a label of this key, whose value is its id.
#[must_use]
pub fn labelled_by_id(mut snapshot: Snapshot, key: &str) -> Snapshot {
    let key = snapshot.strings.intern(key);
    let strings = &mut snapshot.strings;
    let label =
        |task: TaskRow| LabelRow { task: task.id, key, value: strings.intern(&task.id.0.to_string()) };
    snapshot.labels = snapshot.tasks.iter().map(label).collect();
    snapshot
}
