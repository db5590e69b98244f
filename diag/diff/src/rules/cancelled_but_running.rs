//! `cancelled-but-running`: tasks that were asked to stop and are still there.
//!
//! A task is only dropped between two polls: one that never yields, or a closure on a thread for
//! blocking work, runs on until it is done. That somebody asked is a fact of one snapshot; how long
//! one may take to stop is the policy's.

use std::collections::BTreeMap;

use diag_snapshot::{CancelBy, Micros, SiteKind, TaskState};

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::fact::AskedBy;
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::{Asked, Conditions, SiteConditions};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A task may take so long to stop.
    grace_s: Seconds = 10.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "cancelled-but-running";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str = "these tasks were asked to stop, and are still there";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        facts.now.sites.iter().filter_map(|site| finding(facts.now, site, params)).collect()
    }
}

fn finding(now: &Conditions, site: &SiteConditions, params: &Params) -> Option<Finding> {
    let grace_us = Micros::from_secs(params.grace_s).0;
    let late: Vec<&Asked> = site.asked.iter().filter(|asked| asked.ago_us >= grace_us).collect();
    let longest = late.iter().max_by_key(|asked| asked.ago_us)?;
    let polling = late.iter().filter(|asked| asked.state == TaskState::Polling).count();
    let labels = now.labels.among(late.iter().map(|asked| asked.task));
    let advice = advice(site.kind, polling > 0);
    let (category, confidence) = (Category::Stuck, Confidence::Proven);
    let subject = Subject::from(&site.site);
    let waits = now.waits.get(&site.site).filter(|_| polling < late.len());
    Some(Finding {
        since: ago(now, longest.ago_us),
        count: Some(late.len() as u64),
        evidence: evidence(&late, longest, polling).into_iter().chain(labelled(&labels)).collect(),
        waiting_at: waits.map(|at| Wait::All { at: at.clone() }),
        ..Finding::new(Rule::NAME, category, confidence, subject, advice, Risk::ShutdownWaits)
    })
}

fn evidence(late: &[&Asked], longest: &Asked, polling: usize) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::AskedToStop { longest: Micros(longest.ago_us), asked: by(late) }];
    let in_one_poll = |asked: &&&Asked| asked.state == TaskState::Polling && asked.still_us >= asked.ago_us;
    let never_yielded = late.iter().filter(in_one_poll).count();
    let parts = [
        (never_yielded, Evidence::InOnePoll { tasks: never_yielded as u64 }),
        (polling - never_yielded, Evidence::PolledAgain { tasks: (polling - never_yielded) as u64 }),
        (late.len() - polling, Evidence::OutsideOfPolls { tasks: (late.len() - polling) as u64 }),
    ];
    evidence.extend(parts.into_iter().filter(|&(tasks, _)| tasks > 0).map(|(_, part)| part));
    evidence
}

/// Who asked, in the order of their names.
fn by(late: &[&Asked]) -> Vec<AskedBy> {
    let mut tasks: BTreeMap<&str, (CancelBy, u64)> = BTreeMap::new();
    late.iter().for_each(|asked| tasks.entry(asked.by.as_str()).or_insert((asked.by, 0)).1 += 1);
    tasks.into_values().map(|(by, tasks)| AskedBy { by, tasks }).collect()
}

fn advice(kind: SiteKind, is_polling: bool) -> Advice {
    match (kind, is_polling) {
        (SiteKind::Blocking, _) => Advice::BoundTheClosure,
        (_, true) => Advice::LetItYield,
        (_, false) => Advice::SeeItsWorker,
    }
}

const DOC: &str = "\
Always **proven**.

- **Found when** a task was asked longer ago than `grace_s`: by `abort`, by its set, or by the end of its runtime.
- **Evidence**: by what and how long ago; whether the poll that does not return began before it was asked, or the task is
  polled again, or no worker has come to drop it.
- **Silent twins**: a task that is still within the grace; one that finished by itself after it was asked (it is among the
  ends).
";
