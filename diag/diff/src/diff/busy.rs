//! Tasks that took much of a CPU between two snapshots, or were polled again and again.

use diag_analysis::Analysis;
use diag_analysis::await_point::WaitKind;
use diag_analysis::site::sites;

use diag_snapshot::{TaskId, TaskRow};

use super::Site;

/// So many polls a second are worth a look, or
const MIN_POLLS_PER_S: f64 = 1_000.0;
/// so large a part of one CPU.
const MIN_SHARE: f64 = 0.2;

/// A task that has not lived for so long is in the middle of its first work, microseconds.
const MIN_LIFE_US: u64 = 2_000_000;

/// What one task did between two snapshots, or since its spawn if the first has it not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BusyTask {
    /// Which one.
    pub task: TaskId,
    /// Where it was spawned.
    pub site: Site,
    /// Polls a second.
    pub polls_per_s: f64,
    /// Part of the time that it was inside of polls, estimated from sampled ones.
    pub busy_share: f64,
    /// True if another task woke it last: it has work.
    pub woken_by_task: bool,
    /// True if its last poll ended at a yield, as far as that is known.
    pub yields: bool,
}

fn yields(analysis: &Analysis, task: &TaskRow) -> bool {
    let points = analysis.await_points();
    points.of(task).and_then(|waits| points.kind(waits)) == Some(WaitKind::Yield)
}

/// Of two snapshots of one process, the busiest first.
pub(super) fn busy(before: &Analysis, after: &Analysis) -> Vec<BusyTask> {
    let (was, is) = (before.snapshot(), after.snapshot());
    let names: Vec<Site> = sites(is).collect();
    let mut busy = Vec::new();
    let counts = is.tasks.polls().iter().zip(is.tasks.busy_ns().iter()).zip(is.tasks.spawned_us().iter());
    for (place, ((polls, busy_ns), spawned_us)) in counts.enumerate() {
        // Most tasks have not done enough in their whole life.
        let lived_us = is.capture.to_us.saturating_sub(spawned_us.0).max(1);
        let window_us = is.capture.to_us.saturating_sub(was.capture.to_us).clamp(1, lived_us);
        let seconds = window_us as f64 / 1e6;
        let is_busy = |polls: u64, busy_ns: u64| {
            polls as f64 / seconds >= MIN_POLLS_PER_S || busy_ns as f64 / 1e9 / seconds >= MIN_SHARE
        };
        if lived_us < MIN_LIFE_US || !is_busy(polls, busy_ns.0) {
            continue;
        }
        let Some(task) = is.tasks.get(place) else { continue };
        let earlier = was.task(task.id);
        let (polls_then, busy_then) = earlier.map_or((0, 0), |task| (task.polls, task.busy_ns));
        let polls = task.polls.saturating_sub(polls_then);
        let busy_ns = task.busy_ns.saturating_sub(busy_then);
        let Some(site) = names.get(task.site.0 as usize).filter(|_| is_busy(polls, busy_ns)) else {
            continue;
        };
        busy.push(BusyTask {
            task: task.id,
            site: site.clone(),
            polls_per_s: polls as f64 / seconds,
            busy_share: busy_ns as f64 / 1e9 / seconds,
            woken_by_task: task.woken_by.is_some_and(|by| by != task.id),
            yields: yields(after, &task),
        });
    }
    busy.sort_by(|a, b| b.busy_share.total_cmp(&a.busy_share).then(b.polls_per_s.total_cmp(&a.polls_per_s)));
    busy
}
