//! Tasks that are idle for many times as long as the other tasks of their site live.
//!
//! A task that others of its kind outdo by far waits for what may never come. One with a slow rhythm of its own, as a
//! connection with a ping a minute, is measured by that. Whether these tasks become more is not said here.

use diag_snapshot::{Micros, SiteIndex, Snapshot, TaskId, TaskState, TaskTimes};

use crate::await_point::Direction;
use crate::await_points::AwaitPoints;
use crate::lifetimes::Lifetimes;
use crate::site::{self, Site};

/// Idle for fewer usual lifetimes is no more than the one in a hundred that lives for longer.
const LEAST_TIMES: f64 = 10.0;

/// Idle tasks of a site against those that ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outlived {
    /// 99 of 100 ended tasks of the site lived no longer.
    pub usual_lifetime: Micros,
    /// So many tasks tell that.
    pub ended: u64,
    /// Each task that is idle for 10 times as long, or more.
    pub tasks: Vec<IdleTask>,
    /// What those of them wait for that were asked.
    pub asked: Vec<AskedTask>,
    /// Where the tasks were spawned that spawned them, if that is one site.
    pub parents: Option<Site>,
}

/// A task that is idle for many times as long as the tasks of its site usually live.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct IdleTask {
    /// Which one.
    pub task: TaskId,
    /// For how long it is idle.
    pub idle: Micros,
    /// That is so many times the longer of two spans: the usual lifetime, and the mean pause between its own polls.
    pub times: f64,
}

/// What such a task waits for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AskedTask {
    /// As in [`IdleTask::times`].
    pub times: f64,
    /// `mpsc recv at src/orders.rs:131`.
    pub waits: String,
    /// What that needs of others, as far as it is one thing.
    pub needs: Option<Direction>,
}

/// Returns what there is of each site, in the order of the table. Tasks that were asked to stop, or that nothing can wake or
/// end, are not among them: these have faults of their own.
pub(crate) fn outlived(snapshot: &Snapshot, parked: &AwaitPoints) -> Vec<Option<Outlived>> {
    let mut sites = usual(snapshot);
    if sites.iter().all(Option::is_none) {
        return sites;
    }
    let now = Micros(snapshot.capture.to_us);
    let tasks = &snapshot.tasks;
    let signs = tasks.lost().iter().zip(tasks.handles().iter()).zip(tasks.cancel_us().iter());
    let mut parents_of: Vec<Option<SiteIndex>> = vec![None; sites.len()];
    for ((task, ((lost, handles), cancel_us)), parents) in
        tasks.times().zip(signs).zip(tasks.parent_site().iter())
    {
        let Some(Some(site)) = sites.get_mut(task.site.0 as usize) else { continue };
        let has_own_fault = (lost.is_some() && handles == Some(0)) || cancel_us.is_some();
        let Some(idle) = idle_task(&task, site.usual_lifetime, now).filter(|_| !has_own_fault) else {
            continue;
        };
        let of_site = &mut parents_of[task.site.0 as usize];
        *of_site =
            if site.tasks.is_empty() { parents } else { of_site.filter(|known| parents == Some(*known)) };
        site.tasks.push(idle);
    }
    // Names of all sites, once, if any is asked for.
    let names: Vec<Site> =
        if parents_of.iter().any(Option::is_some) { site::sites(snapshot).collect() } else { Vec::new() };
    for (site, parents) in sites.iter_mut().zip(parents_of) {
        let Some((site, parents)) = site.as_mut().zip(parents) else { continue };
        site.parents = names.get(parents.0 as usize).cloned();
    }
    for (id, waits) in parked.answers() {
        let Some(task) = snapshot.task(id).map(|task| task.times()) else { continue };
        let Some(Some(site)) = sites.get_mut(task.site.0 as usize) else { continue };
        let (waits, needs) = (waits.to_owned(), parked.direction(waits));
        let idle = idle_task(&task, site.usual_lifetime, now);
        site.asked.extend(idle.map(|IdleTask { times, .. }| AskedTask { times, waits, needs }));
    }
    sites.iter_mut().for_each(|site| {
        site.take_if(|site| site.tasks.is_empty());
    });
    sites
}

/// How long the ended tasks of each site lived.
fn usual(snapshot: &Snapshot) -> Vec<Option<Outlived>> {
    let mut sites = vec![Lifetimes::default(); snapshot.sites.len()];
    for row in snapshot.lifetimes.iter() {
        if let Some(site) = sites.get_mut(row.site.0 as usize) {
            site.add(row.bucket, row.count);
        }
    }
    let of_site = |lifetimes: Lifetimes| {
        let (usual_lifetime, ended) = (Micros(lifetimes.within_us(99)?), lifetimes.count());
        Some(Outlived { usual_lifetime, ended, tasks: Vec::new(), asked: Vec::new(), parents: None })
    };
    sites.into_iter().map(of_site).collect()
}

fn idle_task(task: &TaskTimes, usual_lifetime: Micros, now: Micros) -> Option<IdleTask> {
    let last_progress = task.last_progress()?;
    let idle = now - last_progress;
    let is_listed = |span_us: f64| idle.0 as f64 >= LEAST_TIMES * span_us;
    if task.state != TaskState::Idle || !is_listed(usual_lifetime.0 as f64) {
        return None;
    }
    let span_us = mean_pause_us(task, last_progress).max(usual_lifetime.0 as f64);
    is_listed(span_us).then(|| IdleTask { task: task.id, idle, times: idle.0 as f64 / span_us.max(1.0) })
}

/// Mean time between the polls that a task had; 0 before the second.
fn mean_pause_us(task: &TaskTimes, last_progress: Micros) -> f64 {
    let polled_for = last_progress - task.spawned;
    let pauses = task.polls.saturating_sub(1);
    if pauses == 0 { 0.0 } else { polled_for.0 as f64 / pauses as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag_snapshot::{LifetimeRow, SiteIndex, SiteRow, TaskId, TaskRow};

    const SECOND: u64 = 1_000_000;

    /// A site whose tasks live up to 1.024 s, and a minute after start these live tasks.
    fn check(tasks: &[TaskRow], expected: &[f64]) {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 60 * SECOND;
        snapshot.sites.push(SiteRow::default());
        snapshot.lifetimes.push(LifetimeRow { site: SiteIndex(0), bucket: 9, count: 100 });
        snapshot.tasks = (1..).zip(tasks).map(|(id, &task)| TaskRow { id: TaskId(id), ..task }).collect();
        let found = outlived(&snapshot, &AwaitPoints::default());
        let times = |site: &Outlived| site.tasks.iter().map(|task| task.times.round()).collect();
        assert_eq!(found[0].as_ref().map_or(Vec::new(), times), expected);
    }

    /// Polled once, and never again.
    fn idle() -> TaskRow {
        TaskRow { state: TaskState::Idle, last_poll_us: Some(0), polls: 1, ..TaskRow::default() }
    }

    #[test]
    fn idle_tasks_are_measured_by_those_that_ended() {
        check(&[idle()], &[59.0]);
        check(&[TaskRow { last_poll_us: Some(50 * SECOND), ..idle() }], &[]);
        check(&[TaskRow { state: TaskState::Woken, ..idle() }], &[]);
    }

    #[test]
    fn a_slow_rhythm_is_a_measure_too() {
        check(&[TaskRow { polls: 41, last_poll_us: Some(40 * SECOND), ..idle() }], &[20.0]);
        check(&[TaskRow { polls: 21, last_poll_us: Some(40 * SECOND), ..idle() }], &[10.0]);
        check(&[TaskRow { polls: 20, last_poll_us: Some(40 * SECOND), ..idle() }], &[]);
    }

    #[test]
    fn faults_of_their_own_are_left_out() {
        let lost = TaskRow { lost: Some(2), handles: Some(0), ..idle() };
        check(&[lost, TaskRow { cancel_us: Some(SECOND), ..idle() }], &[]);
        check(&[TaskRow { handles: Some(1), ..lost }], &[59.0]);
    }
}
