//! `unreachable-wait`: tasks whose wakers are there, and that nothing which runs can reach.

use std::collections::BTreeMap;

use diag_analysis::holders::Certainty;
use diag_analysis::holding::{Behind, Unreachable, tasks_of};
use diag_analysis::site::Site;
use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// Not polled for so long, unless it is proven.
    min_idle_s: Seconds = 1.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "unreachable-wait";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const YIELDS_TO: &'static [&'static str] = &["deadlock-cycle", "futurelock"];
    const SAYS: &'static str = "nothing that runs can reach a waker of these tasks";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let is_meant = |task: &&Unreachable| {
            task.certainty == Certainty::Proven || task.task.idle_us as f64 >= params.min_idle_s * 1e6
        };
        let mut sites: BTreeMap<(&Site, Certainty), Vec<&Unreachable>> = BTreeMap::new();
        for task in facts.now.holding.unreachable.iter().filter(is_meant) {
            sites.entry((&task.task.site, task.certainty)).or_default().push(task);
        }
        // Of a site the surest are told.
        let mut surest: BTreeMap<&Site, Vec<&Unreachable>> = BTreeMap::new();
        sites.into_iter().for_each(|((site, _), tasks)| _ = surest.insert(site, tasks));
        surest.values().filter_map(|tasks| finding(facts, tasks)).collect()
    }
}

fn finding(facts: &Facts<'_>, tasks: &[&Unreachable]) -> Option<Finding> {
    let first = tasks.iter().max_by_key(|task| task.task.idle_us)?;
    let mut behind = Behind::new();
    for (site, victims) in tasks.iter().flat_map(|task| &task.behind) {
        behind.entry(site.clone()).or_default().extend(victims);
    }
    let count = tasks.len() as u64;
    let mut evidence = vec![Evidence::NoWakerReached {
        tasks: count,
        what: first.task.what.clone(),
        longest_idle: Micros(first.task.idle_us),
    }];
    evidence.extend(Evidence::victims(&behind));
    evidence.push(Evidence::of_certainty(first.certainty));
    evidence.extend(labelled(&facts.now.labels.among(tasks.iter().map(|task| task.task.task))));
    let mends = tasks.iter().any(|task| task.task.handles != Some(0));
    Some(Finding {
        since: ago(facts.now, first.task.idle_us),
        count: Some(count + tasks_of(&behind).count() as u64),
        evidence,
        counter_evidence: mends.then_some(Evidence::HandleMayEnd).into_iter().collect(),
        waiting_at: first.task.at.clone().map(|at| Wait::All { at }),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            Confidence::from(first.certainty),
            Subject::from(&first.task.site),
            Advice::KeepOneThatWakes,
            Risk::NeverGivenBack,
        )
    })
}

const DOC: &str = "\
Needs a snapshot whose memory was swept (`diag snap --holders`). `lost-waker` tells of tasks that have no waker left at all; these have one,
and nobody can use it: it lies in a channel whose senders are all gone or wait themselves, in a `Notify` that no one else has, in a task
that cannot go on either.

- **Found when** a task is idle, all its wakers are found, and none can be reached from what runs; it does not wait behind
  another such task, or in a cycle.
- **Proven** where every block is recorded (`DIAG_HEAP=full` or `diag::testing`) and was looked at twice: nothing that a thread, a static,
  a runtime, the system or a task that may run leads to, by any pointer, has a waker of it; nor a handle, by which it could be ended.
  **Likely** there, if there is a handle. **Possible** where some memory was not looked at, or blocks are known in part: then the ends of
  a channel are counted.
- **Evidence**: what it waits in, and those that wait for it.
- **Counter-evidence**: a handle that may abort it.
- **Disproved by** a snapshot in which one of them was polled.
- **Silent twins**: a channel one of whose senders a static keeps; a wait with a timeout; a task that waits for a socket
  (`tests/holding.rs`).
";
