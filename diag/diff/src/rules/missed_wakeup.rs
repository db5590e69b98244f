//! `missed-wakeup`: tasks that were ready and that nothing had woken.
//!
//! Seen only where somebody asked for polls: such a poll found the task ready, which moved on by it. Without a
//! waker nothing else could have made it run. With one somebody may have been about to use it at that very moment, as
//! a timer that is due, so that is only possible.

use diag_analysis::human;

use super::finding::{Category, Confidence, Finding, Subject};
use super::rule::{self, Facts, Needs, Rule as _};
use crate::diff::{Recovered, SiteNow};

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

fn finding(site: &SiteNow, recovered: Recovered) -> Finding {
    let confidence =
        if recovered.wakers.unwrap_or(0) == 0 { Confidence::Likely } else { Confidence::Possible };
    Finding {
        count: Some(recovered.tasks),
        evidence: evidence(recovered),
        advice: "look at what wakes these tasks: whoever makes that ready has to wake every waker that it was given"
            .to_owned(),
        risk: "without that poll they would wait on; the next ones to miss a wake-up do".to_owned(),
        ..Finding::new(Rule::NAME, Category::Stuck, confidence, Subject::from(&site.site))
    }
}

fn evidence(recovered: Recovered) -> Vec<String> {
    let tasks = match recovered.tasks {
        1 => "1 task was".to_owned(),
        tasks => format!("{} tasks were", human::count(tasks)),
    };
    let idle = recovered.idle_us.map(|us| format!("; idle for up to {} before", human::duration_us(us)));
    let mut evidence = vec![format!(
        "{tasks} found ready by a poll that somebody asked for since the process started, though nothing had \
         woken them{}",
        idle.unwrap_or_default()
    )];
    evidence.extend(recovered.wakers.map(|wakers| match wakers {
        0 => "nobody held a waker of them".to_owned(),
        1 => "somebody held 1 waker of them, and had not used it".to_owned(),
        wakers => format!("somebody held {} wakers of them, and had not used them", human::count(wakers)),
    }));
    evidence
}

const DOC: &str = "\
- **Found when** such a poll finds a task ready, or leaves it waiting elsewhere, and nobody woke it meanwhile. Nothing asks
  for polls by itself: `/dump?ask=1`, `diag snap --ask`, `diag::snapshot_asking`. Counted since the process started.
- **Likely** if nobody held a waker of them. **Possible** if somebody did, who may have been about to use it.
- **Evidence**: how many, for how long they had been idle, how many wakers there were.
- **Disproved by** asking again after a while, which finds no more.
- **Silent twin**: a service that nobody asks.
";
