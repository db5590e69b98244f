//! `stuck-behind`: a task that has what others wait for, and waits itself.
//!
//! The finding is about who has it. Those behind are its victims: they are told of with it, and are no findings of their own.

use std::collections::BTreeSet;

use diag_analysis::holding::{HolderOfWaiters, tasks_of};
use diag_snapshot::TaskId;

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::stuck_giving;
use super::subject::Subject;
use super::wait::Wait;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// One of those behind it is idle for so long.
    min_idle_s: Seconds = 10.0,
    /// And for so many times the mean pause between its earlier polls, or the usual lifetime of its site if it had none.
    min_pauses: Factor = 100.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "stuck-behind";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["deadlock-cycle", "futurelock", "unreachable-wait"];
    const SAYS: &'static str = "this task has what others wait for, and does not give it back";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let stuck = stuck(facts, params);
        let is_meant = |held: &&HolderOfWaiters| tasks_of(&held.behind).any(|task| stuck.contains(&task));
        let holders = facts.now.holding.holders.iter().filter(is_meant);
        holders.map(|held| finding(facts, held)).collect()
    }
}

/// The tasks that wait for others for too long.
fn stuck(facts: &Facts<'_>, params: &Params) -> BTreeSet<TaskId> {
    let giving = facts.diff.map(|diff| &diff.giving[..]).unwrap_or_default();
    let of_each = giving.iter().flat_map(|all| {
        let limits = (params.min_idle_s, params.min_pauses);
        all.tasks.iter().filter(move |task| stuck_giving::is_stuck_for(all, task, limits))
    });
    of_each.map(|task| task.task).collect()
}

fn finding(facts: &Facts<'_>, held: &HolderOfWaiters) -> Finding {
    let task = &held.task;
    let behind = tasks_of(&held.behind).count() as u64;
    let mut evidence = vec![Evidence::has_and_waits(held)];
    evidence.extend(Evidence::victims(&held.behind));
    evidence.extend(labelled(&facts.now.labels.among([task.task])));
    let others = (held.others > 0).then_some(Evidence::OthersMayHaveIt { others: held.others });
    Finding {
        since: ago(facts.now, task.idle_us),
        count: Some(behind + 1),
        evidence,
        counter_evidence: [Evidence::LongPauseLooksTheSame].into_iter().chain(others).collect(),
        waiting_at: task.at.clone().map(|at| Wait::All { at }),
        held_by: Some(Holder::task(task, Some(held.what.clone()))),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            held.certainty.into(),
            Subject::from(&task.site),
            Advice::GiveBackFirst { what: held.what.clone() },
            Risk::WaitersPileUp,
        )
    }
}

const DOC: &str = "\
Needs a second snapshot whose memory was swept (`diag snap --holders`), which shows who has a pointer to what the others wait in.

- **Found when** a task waits for a lock, a permit or room in both snapshots, as `stuck-giving` has it (`min_idle_s`, `min_pauses`), and
  the sweep shows who has that: this one, or the last of a chain of such. Who goes round in a circle is told by `deadlock-cycle`, and a
  future that nobody polls by `futurelock`.
- **Likely** if it is the only one that points to the lock itself, as a guard is one. **Possible** if others may have it, too.
- **Evidence**: what it has, where it waits meanwhile, and who waits behind it, by spawn site.
- **Counter-evidence**: others that may have it; a pause that is meant.
- **Disproved by** a snapshot in which one of those behind was polled.
- **Silent twins**: a lock that goes round; a holder whose waiters came a moment ago (`tests/holding.rs`).
";
