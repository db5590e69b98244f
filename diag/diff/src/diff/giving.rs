//! Tasks that wait, in both snapshots and without a poll in between, for what another part of the service has to take, to
//! give back or to answer.

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::await_point::WaitKind;
use diag_analysis::site::sites;
use diag_snapshot::{Micros, TaskId, TaskState};

use super::sites::Join;
use super::tasks::mean_pause_us;
use super::{Options, Site};

/// Tasks of one spawn site that wait for one such thing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Giving {
    /// Where they were spawned.
    pub site: Site,
    /// What they wait for: `mpsc send at src/orders.rs:34`.
    pub waits: String,
    /// Of what kind that is.
    pub kind: WaitKind,
    /// Each of them.
    pub tasks: Vec<GivingTask>,
    /// 99 of 100 ended tasks of the site lived no longer, however few these are, microseconds; none if none ended.
    pub lived_us: Option<u64>,
}

/// One of these tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GivingTask {
    /// Which one.
    pub task: TaskId,
    /// How often it was polled.
    pub polls: u64,
    /// For how long it has not been polled, microseconds.
    pub idle_us: u64,
    /// Mean time between the polls that it had, microseconds; none before the second.
    pub mean_pause_us: Option<f64>,
    /// 99 of 100 ended tasks of its site lived no longer, microseconds; none before [`Options::min_ended`] of them
    /// ended.
    pub usual_lifetime_us: Option<u64>,
    /// True if it was woken after its last poll and has not run.
    pub is_woken: bool,
}

fn is_of_others(kind: &WaitKind) -> bool {
    kind.is_give_back() || kind.is_for_an_answer()
}

/// Of two snapshots of one process.
pub(super) fn giving(before: &Analysis, after: &Analysis, join: &Join, options: Options) -> Vec<Giving> {
    let snapshot = after.snapshot();
    let parked = after.await_points();
    let names: Vec<Site> = sites(snapshot).collect();
    let mut found: BTreeMap<(&Site, &str), Giving> = BTreeMap::new();
    for (id, waits) in parked.answers() {
        let Some(kind) = parked.kind(waits).filter(is_of_others) else { continue };
        let Some(task) = snapshot.task(id).filter(|task| task.state != TaskState::Polling) else { continue };
        let waited_before = before.snapshot().task(id).is_some_and(|was| was.polls == task.polls);
        let Some(site) = names.get(task.site.0 as usize).filter(|_| waited_before) else { continue };
        let times = task.times();
        let Some(last_progress) = times.last_progress() else { continue };
        let lived_us = |at_least: u64| {
            let place = join.after.of(task.site)?;
            join.sites.get(place)?.usual_lifetime_us(at_least)
        };
        let one = GivingTask {
            task: id,
            polls: times.polls,
            idle_us: (Micros(snapshot.capture.to_us) - last_progress).0,
            mean_pause_us: mean_pause_us(&times),
            usual_lifetime_us: lived_us(options.min_ended),
            is_woken: task.state == TaskState::Woken,
        };
        let new = || Giving {
            site: site.clone(),
            waits: waits.to_owned(),
            kind,
            tasks: Vec::new(),
            lived_us: lived_us(1),
        };
        found.entry((site, waits)).or_insert_with(new).tasks.push(one);
    }
    found.into_values().collect()
}
