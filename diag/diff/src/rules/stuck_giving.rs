//! `stuck-giving`: a task that waits for what another part of the service has to take or to give back, and does not.
//!
//! Waits have a direction. A task in `recv` may wait for ever and be healthy; one in `send`, or queued for a lock, a permit
//! or a connection of a pool, has work in hand, and whoever has what it needs is to move. One such task is enough: all
//! that pile up behind it are its victims.

use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::{Giving, GivingTask};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// Idle for so long.
    min_idle_s: Seconds = 10.0,
    /// And for so many times the mean pause between its earlier polls, or the usual lifetime of its site if it had none.
    min_pauses: Factor = 100.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "stuck-giving";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str =
        "these tasks wait for room, a lock, a permit or a connection that nobody gives back";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let giving = facts.diff.map(|diff| &diff.giving[..]).unwrap_or_default();
        // Those that had turns before are stuck; what waits for its first turn meanwhile waits behind them.
        let had_turns = |task: &GivingTask| task.mean_pause_us.is_some() && is_stuck(task, params);
        let are_there = giving.iter().flat_map(|giving| &giving.tasks).any(had_turns);
        let is_meant = |task: &GivingTask| is_stuck(task, params) && (!are_there || had_turns(task));
        let stuck = giving.iter().filter_map(|giving| finding(facts, giving, is_meant));
        // Of a site that waits in several ways, the way of the most tasks is told.
        let mut findings: Vec<Finding> = Vec::new();
        for finding in stuck {
            match findings.iter_mut().find(|known| known.subject == finding.subject) {
                Some(known) if known.count < finding.count => *known = finding,
                Some(_) => {}
                None => findings.push(finding),
            }
        }
        findings
    }
}

fn finding(facts: &Facts<'_>, giving: &Giving, is_meant: impl Fn(&GivingTask) -> bool) -> Option<Finding> {
    let stuck: Vec<&GivingTask> = giving.tasks.iter().filter(|task| is_meant(task)).collect();
    let longest = stuck.iter().max_by_key(|task| task.idle_us)?;
    let mut evidence = vec![Evidence::WaitsInBoth {
        tasks: stuck.len() as u64,
        idle: Micros(longest.idle_us),
        usual: Micros(usual_us(longest).unwrap_or(0.0) as u64),
    }];
    let woken = stuck.iter().filter(|task| task.is_woken).count() as u64;
    evidence.extend((woken > 0).then_some(Evidence::WokenAndNotRun { tasks: woken }));
    Some(Finding {
        since: ago(facts.now, longest.idle_us),
        count: Some(stuck.len() as u64),
        evidence,
        counter_evidence: vec![Evidence::LongPauseLooksTheSame],
        waiting_at: Some(Wait::All { at: giving.waits.clone() }),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            Confidence::Likely,
            Subject::from(&giving.site),
            Advice::FindWhoHasIt { waits: giving.kind },
            Risk::WaitersPileUp,
        )
    })
}

fn is_stuck(task: &GivingTask, params: &Params) -> bool {
    let idle_us = task.idle_us as f64;
    idle_us >= params.min_idle_s * 1e6
        && usual_us(task).is_some_and(|usual_us| idle_us >= usual_us * params.min_pauses)
}

/// What such a wait is to be measured by: the task's own pauses, or the life of the others if it never had one.
fn usual_us(task: &GivingTask) -> Option<f64> {
    task.mean_pause_us.or(task.usual_lifetime_us.map(|us| us as f64))
}

const DOC: &str = "\
What a task waits for is known where its last poll left a stack. Sends on a channel, locks, permits and pools count; what the
other end of a socket does is not the service's.

- **Found when** a task is in such a wait in both snapshots, was not polled in between, and is idle for `min_idle_s` and for
  `min_pauses` times the mean pause between its earlier polls; in its first wait, for as many times the usual lifetime of its
  site. One task is enough. Always **likely**.
- **Evidence**: for how long, against its earlier pauses; whether it was woken and has not run: then a future that nobody
  polls may be first in the queue.
- **Counter-evidence**: work that rests for long now and then, as a batch writer that sleeps between batches, looks the same to
  whoever waits for it.
- **Disproved by** a snapshot in which the task was polled again.
- **Silent twins**: a task in `recv`; a queue that moves; a producer whose consumer is slow.
";
