//! Tasks that wait, in both snapshots and without a poll in between, for the end of a task that they spawned, whose peers ended
//! about as soon as they were waited for.
//!
//! Whoever joins a task may wait for ever and be healthy. What tells an end that was asked for is when the wait began: not with the
//! spawn, as that of a supervisor does, but later, at an age at which the peers ended.

use std::collections::HashMap;

use diag_analysis::Analysis;
use diag_analysis::await_point::WaitKind;
use diag_analysis::site::sites;
use diag_snapshot::{Micros, Snapshot, TaskId, TaskState, TaskTimes};

use super::Site;
use super::sites::Join;

/// A task that waits for the end of the only one that it has spawned and that lives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ending {
    /// The one that waits.
    pub task: TaskId,
    /// Where the one that waits was spawned.
    pub site: Site,
    /// What it waits for: `join at src/topology.rs:80`.
    pub waits: String,
    /// For how long, microseconds.
    pub waited_us: u64,
    /// Where the other was spawned.
    pub joined: Site,
    /// How old that was when the wait began, microseconds.
    pub age_us: u64,
    /// So many of its site have ended.
    pub ended: u64,
    /// None of those lived for less, microseconds.
    pub least_us: u64,
    /// None of those lived for longer, microseconds.
    pub most_us: u64,
}

/// A task that waits for an end.
struct Waiting<'a> {
    times: TaskTimes,
    waits: &'a str,
    /// The live tasks that it spawned: the first of them, and how many there are.
    spawned: Option<(TaskId, u64)>,
}

/// Of two snapshots of one process.
pub(super) fn ending(before: &Analysis, after: &Analysis, join: &Join) -> Vec<Ending> {
    let snapshot = after.snapshot();
    let mut waiting = waiting(before.snapshot(), after);
    if waiting.is_empty() {
        return Vec::new();
    }
    for (id, parent) in snapshot.tasks.id().iter().zip(snapshot.tasks.parent().iter()) {
        if let Some(waiting) = parent.and_then(|parent| waiting.get_mut(&parent)) {
            let (first, count) = waiting.spawned.unwrap_or((id, 0));
            waiting.spawned = Some((first, count + 1));
        }
    }
    let names: Vec<Site> = sites(snapshot).collect();
    let mut found: Vec<Ending> =
        waiting.values().filter_map(|waiting| of(snapshot, &names, join, waiting)).collect();
    found.sort_by_key(|ending| ending.task);
    found
}

fn waiting<'a>(before: &Snapshot, after: &'a Analysis) -> HashMap<TaskId, Waiting<'a>> {
    let parked = after.await_points();
    let is_join = |waits: &str| matches!(parked.kind(waits), Some(WaitKind::Join | WaitKind::JoinNext));
    let joins = parked.answers().filter(|(_, waits)| is_join(waits));
    let in_both = joins.filter_map(|(id, waits)| {
        let task = after.snapshot().task(id).filter(|task| task.state == TaskState::Idle)?;
        let waited_before = before.task(id).is_some_and(|was| was.polls == task.polls);
        waited_before.then(|| (id, Waiting { times: task.times(), waits, spawned: None }))
    });
    in_both.collect()
}

fn of(snapshot: &Snapshot, names: &[Site], join: &Join, waiting: &Waiting<'_>) -> Option<Ending> {
    let (joined, _) = waiting.spawned.filter(|(_, count)| *count == 1)?;
    let joined = snapshot.task(joined)?.times();
    let began = waiting.times.last_progress()?;
    let ended = &join.sites.get(join.after.of(joined.site)?)?.ended[1];
    let name = |task: &TaskTimes| names.get(task.site.0 as usize).cloned();
    Some(Ending {
        task: waiting.times.id,
        site: name(&waiting.times)?,
        waits: waiting.waits.to_owned(),
        waited_us: (Micros(snapshot.capture.to_us) - began).0,
        joined: name(&joined)?,
        age_us: (began - joined.spawned).0,
        ended: ended.count(),
        least_us: ended.at_least_us(100)?,
        most_us: ended.within_us(100)?,
    })
}
