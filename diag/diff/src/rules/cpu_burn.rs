//! `cpu-burn`: a task that keeps a CPU busy for nothing, whoever wakes it.
//!
//! A loop around a channel that is closed, or a `yield_now` around a `try_recv`, never rests. Tokio defers the wake of
//! such a task until its poll has returned, so that no wake is its own: what is left to see are the polls, and that no
//! other task asked for them.

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::fact::{PerSecond, Ratio};
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{BusyTask, CpuUse};
use diag_snapshot::TaskId;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So large a part of one CPU is much.
    min_share: Share = 0.5,
    /// So many polls a second are many, where the process gets the CPU that it is ready for.
    min_polls_per_s: PerSecond = 10_000.0,
    /// So many polls a second that no other task asks for are likely to be for nothing, however short they are.
    spinning_polls_per_s: PerSecond = 50_000.0,
}

/// Of a process that gets less than this the polls are counted as if it got as much.
const LEAST_GOT: f64 = 0.25;

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "cpu-burn";
    const CATEGORIES: &'static [Category] = &[Category::Runaway];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["busy-self-wake"];
    const SAYS: &'static str = "these tasks are polled again and again and keep a CPU busy";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let busy = facts.diff.map(|diff| &diff.busy[..]).unwrap_or_default();
        let cpu = facts.diff.and_then(|diff| diff.cpu.as_ref());
        let got = cpu.map_or(1.0, CpuUse::got_share).max(LEAST_GOT);
        let mut burning: Vec<(&BusyTask, Confidence)> =
            busy.iter().filter_map(|task| Some((task, confidence(task, got, params)?))).collect();
        // The surest of a site comes first, and the busiest of these.
        burning.sort_by(|a, b| b.1.cmp(&a.1).then(b.0.polls_per_s.total_cmp(&a.0.polls_per_s)));
        let mut sites: Vec<(&BusyTask, Confidence, Vec<TaskId>)> = Vec::new();
        for (task, confidence) in burning {
            match sites.iter_mut().find(|(known, ..)| known.site == task.site) {
                Some((.., tasks)) => tasks.push(task.task),
                None => sites.push((task, confidence, vec![task.task])),
            }
        }
        sites.iter().map(|(task, confidence, tasks)| finding(facts, task, *confidence, tasks)).collect()
    }
}

/// `got` is the part of the CPU time that it was ready for which the process got.
fn confidence(task: &BusyTask, got: f64, params: &Params) -> Option<Confidence> {
    let polls_per_s = task.polls_per_s / got;
    let is_polled_often = polls_per_s >= params.min_polls_per_s;
    let is_busy = task.busy_share >= params.min_share;
    // Sampled polls tell a share of the time within a factor or so.
    let is_half_busy = task.busy_share >= params.min_share / 2.0;
    if task.woken_by_task {
        return (is_busy && is_polled_often).then_some(Confidence::Possible);
    }
    match is_polled_often {
        true if is_half_busy || polls_per_s >= params.spinning_polls_per_s => Some(Confidence::Likely),
        true => Some(Confidence::Possible),
        false => is_busy.then_some(Confidence::Possible),
    }
}

/// `busiest` is the first of `tasks`, which are of one site.
fn finding(facts: &Facts<'_>, busiest: &BusyTask, confidence: Confidence, tasks: &[TaskId]) -> Finding {
    let woken = if busiest.woken_by_task { Evidence::WokenByOthers } else { Evidence::WokenByNoTask };
    let (evidence, counter_evidence) = match busiest.woken_by_task {
        true => (Vec::new(), vec![woken]),
        false => (vec![woken], vec![Evidence::LooksLikeYielding]),
    };
    Finding {
        count: Some(tasks.len() as u64),
        evidence: [Evidence::PolledOften {
            polls: PerSecond(busiest.polls_per_s),
            busy: Ratio(busiest.busy_share.min(1.0)),
        }]
        .into_iter()
        .chain(evidence)
        .chain(busiest.yields.then_some(Evidence::ParkedAtYield))
        .chain(labelled(&facts.now.labels.among(tasks.iter().copied())))
        .collect(),
        counter_evidence,
        ..Finding::new(
            Rule::NAME,
            Category::Runaway,
            confidence,
            Subject::from(&busiest.site),
            Advice::SeeWhyItNeverRests,
            Risk::CpuIsKept,
        )
    }
}

const DOC: &str = "\
The polls of a task are counted from the first snapshot on, or from its spawn if that was later. The share of a CPU is an estimate
from sampled polls.

- **Found when** a task was inside of polls for `min_share` of the time, or was polled `min_polls_per_s` times a second. One that
  other tasks wake must have done both, and what `busy-self-wake` finds is left to it. Where the threads of the process were ready
  and got no CPU, the polls count as many times as they would be if it had, four times at most.
- **Likely** when it was polled so often, no other task woke it last, and it was busy for half of `min_share` or was polled
  `spinning_polls_per_s` times a second: what waits for a socket or a timer is not polled that often. **Possible** otherwise.
- **Evidence**: how often and for how long it was polled, whether its last poll ended at a yield. **Counter-evidence**: that other tasks wake it; that work which yields looks the same.
- **Disproved by** a look at what it does: a task that gets work done is busy, and not burning.
- **Silent twins**: a channel with a million messages a second; work that yields a thousand times a second.
";
