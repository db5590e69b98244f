//! `missed-wakeup`: tasks that were ready and that nothing had woken.
//!
//! Seen only where somebody asked for polls: such a poll found the task ready, which moved on by it. Without a
//! waker nothing else could have made it run. With one somebody may have been about to use it at that very moment, as
//! a timer that is due, so that is only possible.

use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Recovered, SiteConditions};

/// See [`DOC`].
pub(super) struct Rule;

impl rule::Rule for Rule {
    type Params = ();

    const NAME: &'static str = "missed-wakeup";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str =
        "tasks were ready and nothing had woken them, until a poll that somebody asked for";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, _: &()) -> Vec<Finding> {
        facts
            .now
            .sites
            .iter()
            .filter_map(|site| site.recovered.map(|recovered| finding(site, recovered)))
            .collect()
    }
}

fn finding(site: &SiteConditions, recovered: Recovered) -> Finding {
    let confidence =
        if recovered.wakers.unwrap_or(0) == 0 { Confidence::Likely } else { Confidence::Possible };
    let subject = Subject::from(&site.site);
    let (category, advice, risk) = (Category::Stuck, Advice::WakeEveryWaker, Risk::NextOnesWait);
    Finding {
        count: Some(recovered.tasks),
        evidence: evidence(recovered),
        ..Finding::new(Rule::NAME, category, confidence, subject, advice, risk)
    }
}

fn evidence(Recovered { tasks, wakers, idle_us }: Recovered) -> Vec<Evidence> {
    let found = Evidence::FoundReady { tasks, longest_idle: idle_us.map(Micros) };
    std::iter::once(found).chain(wakers.map(|wakers| Evidence::WakersUnused { wakers })).collect()
}

const DOC: &str = "\
- **Found when** such a poll finds a task ready, or leaves it waiting elsewhere, and nobody woke it meanwhile. Nothing asks
  for polls by itself: `/dump?ask=1`, `diag snap --ask`, `diag::snapshot_asking`. Counted since the process started.
- **Likely** if nobody held a waker of them. **Possible** if somebody did, who may have been about to use it.
- **Evidence**: how many, for how long they had been idle, how many wakers there were.
- **Disproved by** asking again after a while, which finds no more.
- **Silent twin**: a service that nobody asks.
";
