//! Tasks that are idle for longer than the other tasks of their site live.
//!
//! A task that others of its kind outdo by far waits for what may never come. One with a slow rhythm of its own, as a
//! connection with a ping a minute, is measured by that. Whether these tasks become more is not said here.

use std::collections::BTreeMap;
use std::sync::Arc;

use diag_snapshot::{Micros, Snapshot, TaskState, TaskTimes};

use crate::await_point::Direction;
use crate::await_points::AwaitPoints;
use crate::lifetimes::Lifetimes;

/// Idle tasks of a site against those that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlived {
    /// 99 of 100 ended tasks of the site lived no longer.
    pub usual_lifetime: Micros,
    /// So many tasks tell that.
    pub ended: u64,
    /// Each task that is idle for longer.
    pub tasks: Vec<IdleTask>,
}

/// A task that is idle for longer than the tasks of its site usually live.
#[derive(Clone, Debug, PartialEq)]
pub struct IdleTask {
    /// For how long it is idle.
    pub idle: Micros,
    /// That is so many times the longer of two spans: the usual lifetime, and the mean pause between its own polls.
    pub times: f64,
    /// What it waits for, if it was asked: `mpsc recv at src/orders.rs:131`.
    pub waits: Option<Arc<str>>,
    /// What that needs of others, as far as it is one thing.
    pub needs: Option<Direction>,
}

/// Returns what there is of each site, by its place in the table. Tasks that were asked to stop, or that nothing can wake or
/// end, are not among them: these have faults of their own.
pub(crate) fn outlived(snapshot: &Snapshot, parked: &AwaitPoints) -> BTreeMap<u32, Outlived> {
    let mut sites = usual(snapshot);
    if sites.is_empty() {
        return sites;
    }
    for task in idle_tasks(snapshot) {
        let Some(site) = sites.get_mut(&task.site.0) else { continue };
        let idle = Micros(snapshot.capture.to_us) - task.last_progress();
        if idle > site.usual_lifetime {
            let rest_us = (site.usual_lifetime.0 as f64).max(mean_pause_us(&task));
            let waits = parked.of_task(task.id).cloned();
            let needs = waits.as_deref().and_then(|waits| parked.direction(waits));
            site.tasks.push(IdleTask { idle, times: idle.0 as f64 / rest_us.max(1.0), waits, needs });
        }
    }
    sites.retain(|_, site| !site.tasks.is_empty());
    sites
}

/// How long the ended tasks of each site lived.
fn usual(snapshot: &Snapshot) -> BTreeMap<u32, Outlived> {
    let mut sites: BTreeMap<u32, Lifetimes> = BTreeMap::new();
    for row in snapshot.lifetimes.iter() {
        sites.entry(row.site.0).or_default().add(row.bucket, row.count);
    }
    let of_site = |(site, lifetimes): (u32, Lifetimes)| {
        let usual_lifetime = Micros(lifetimes.within_us(99)?);
        Some((site, Outlived { usual_lifetime, ended: lifetimes.count(), tasks: Vec::new() }))
    };
    sites.into_iter().filter_map(of_site).collect()
}

fn idle_tasks(snapshot: &Snapshot) -> impl Iterator<Item = TaskTimes> {
    let tasks = &snapshot.tasks;
    let signs = tasks.lost().iter().zip(tasks.handles().iter()).zip(tasks.cancel_us().iter());
    let each = tasks.times().zip(signs).filter(|(task, ((lost, handles), cancel_us))| {
        let is_lost = lost.is_some() && *handles == Some(0);
        task.state == TaskState::Idle && !is_lost && cancel_us.is_none()
    });
    each.map(|(task, _)| task)
}

/// Mean time between the polls that a task had; 0 before the second.
fn mean_pause_us(task: &TaskTimes) -> f64 {
    let polled_for = task.last_progress() - task.spawned;
    task.polls
        .checked_sub(1)
        .filter(|&pauses| pauses > 0)
        .map_or(0.0, |pauses| polled_for.0 as f64 / pauses as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag_snapshot::{LifetimeRow, SiteIndex, TaskId, TaskRow};

    const SECOND: u64 = 1_000_000;

    /// A site whose tasks live up to 1.024 s, and a minute after start these live tasks.
    fn check(tasks: &[TaskRow], expected: &[f64]) {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 60 * SECOND;
        snapshot.lifetimes.push(LifetimeRow { site: SiteIndex(0), bucket: 9, count: 100 });
        snapshot.tasks = (1..).zip(tasks).map(|(id, &task)| TaskRow { id: TaskId(id), ..task }).collect();
        let found = outlived(&snapshot, &AwaitPoints::default());
        let times = |site: &Outlived| site.tasks.iter().map(|task| task.times.round()).collect();
        assert_eq!(found.get(&0).map_or(Vec::new(), times), expected);
    }

    /// Polled once, and never again.
    fn idle() -> TaskRow {
        TaskRow { state: TaskState::Idle, last_poll_us: Some(0), polls: 1, ..TaskRow::default() }
    }

    #[test]
    fn idle_tasks_are_measured_by_those_that_ended() {
        check(&[idle()], &[59.0]);
        check(&[TaskRow { last_poll_us: Some(59 * SECOND), ..idle() }], &[]);
        check(&[TaskRow { state: TaskState::Woken, ..idle() }], &[]);
    }

    #[test]
    fn a_slow_rhythm_is_a_measure_too() {
        check(&[TaskRow { polls: 3, last_poll_us: Some(40 * SECOND), ..idle() }], &[1.0]);
    }

    #[test]
    fn faults_of_their_own_are_left_out() {
        let lost = TaskRow { lost: Some(2), handles: Some(0), ..idle() };
        check(&[lost, TaskRow { cancel_us: Some(SECOND), ..idle() }], &[]);
        check(&[TaskRow { handles: Some(1), ..lost }], &[59.0]);
    }
}
