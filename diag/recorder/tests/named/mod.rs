//! Tasks with a name, and their rows.

use std::future::Future;

use diag::task::JoinHandle;
use diag_snapshot::{Snapshot, TaskRow};

/// Spawns a task on the current runtime.
#[track_caller]
pub(crate) fn spawn<F>(name: &str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    diag::task::Builder::new().name(name).spawn(future).expect("tokio never refuses")
}

/// The row of the live task with this name.
#[track_caller]
pub(crate) fn row(snapshot: &Snapshot, name: &str) -> TaskRow {
    let is_it = |row: &TaskRow| row.name.and_then(|index| snapshot.strings.get(index)) == Some(name);
    snapshot.tasks.iter().find(is_it).unwrap_or_else(|| panic!("no live task is named {name:?}"))
}
