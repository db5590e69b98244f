//! `deadlock-cycle`: tasks that wait for each other.
//!
//! A sweep shows in what each waits and who has that. Where everybody who may end a wait is among those that wait in the same way,
//! none of them goes on.

use diag_analysis::holding::{WaitCycle, WaitingTask, tasks_of};
use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// None of them was polled for so long, unless it is proven.
    min_idle_s: Seconds = 1.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "deadlock-cycle";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const YIELDS_TO: &'static [&'static str] = &["futurelock"];
    const SAYS: &'static str = "these tasks wait for each other, so that none of them goes on";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let cycles = facts.now.holding.cycles.iter().filter(|cycle| is_meant(cycle, params));
        cycles.filter_map(|cycle| finding(facts, cycle)).collect()
    }
}

fn is_meant(cycle: &WaitCycle, params: &Params) -> bool {
    let is_idle = |member: &WaitingTask| member.idle_us as f64 >= params.min_idle_s * 1e6;
    let is_proven = Confidence::from(cycle.certainty) == Confidence::Proven;
    is_proven || cycle.members.iter().all(is_idle)
}

fn finding(facts: &Facts<'_>, cycle: &WaitCycle) -> Option<Finding> {
    let first = cycle.members.first()?;
    let next = cycle.members.iter().skip(1).chain(cycle.members.first());
    let round = cycle.members.iter().zip(next);
    let mut evidence: Vec<Evidence> = round.map(|(member, next)| step(member, next)).collect();
    evidence.extend(Evidence::victims(&cycle.behind));
    evidence.push(Evidence::of_certainty(cycle.certainty));
    let tasks = cycle.members.iter().map(|member| member.task);
    evidence.extend(labelled(&facts.now.labels.among(tasks)));
    let idle_us = cycle.members.iter().map(|member| member.idle_us).min().unwrap_or(0);
    let mends = cycle.members.iter().any(|member| member.handles != Some(0));
    let held_by = cycle.members.get(1).map(|next| Holder::task(next, first.what.clone()));
    Some(Finding {
        since: ago(facts.now, idle_us),
        count: Some((cycle.members.len() + tasks_of(&cycle.behind).count()) as u64),
        evidence,
        counter_evidence: mends.then_some(Evidence::HandleMayEnd).into_iter().collect(),
        waiting_at: first.at.clone().map(|at| Wait::All { at }),
        held_by,
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            cycle.certainty.into(),
            Subject::from(&first.site),
            advice(cycle),
            Risk::NeverGivenBack,
        )
    })
}

fn advice(cycle: &WaitCycle) -> Advice {
    match (cycle.members.len(), cycle.is_exclusive) {
        (1, true) => Advice::GiveBackOwn,
        (_, true) => Advice::OneOrderOfLocks,
        _ => Advice::LeaveTheCycle,
    }
}

fn step(member: &WaitingTask, next: &WaitingTask) -> Evidence {
    Evidence::WaitsForOneThatWaits {
        task: member.task.0,
        spawned_at: member.site.clone(),
        at: member.at.clone(),
        what: member.what.clone(),
        holder: next.task.0,
        idle: Micros(member.idle_us),
    }
}

const DOC: &str = "\
Needs a snapshot whose memory was swept (`diag snap --holders`), or there is nothing to look at. Locks and semaphores of tokio, room in
and messages of its channels, and ends of tasks count.

- **Found when** everybody who may end the wait of a task waits as well, directly or by way of others for that task, all its wakers
  are found, and none was polled for `min_idle_s`. A task that also waits for a timer, a socket or what is not known is in no cycle.
  Who may have a lock: whoever has a pointer to it, as a guard is one, and whoever has the `Arc` of it, as that may be an owned guard.
- **Proven** where every block is recorded (`DIAG_HEAP=full`) and was looked at twice, and no pointer leads from what runs to any of
  them. **Likely** where locks, room and ends alone are waited for and everybody who points there is in it. **Possible** where some have
  an `Arc` of the lock and go on, or where nobody but those that wait is known to have it.
- **Evidence**: each member with what it waits in, where, and who has that; those behind them.
- **Counter-evidence**: a handle that may abort one of them.
- **Disproved by** a snapshot in which one of them was polled.
- **Silent twins**: locks taken in one order; a cycle of which one member waits for a timer too; a receiver one of whose senders goes
  on (`tests/holding.rs`). 100,000 random graphs: `--example task_graphs` of `diag-analysis`.
";
