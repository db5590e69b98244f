//! `cancelled-but-running`: tasks that were asked to stop and are still there.
//!
//! A task is only dropped between two polls: one that never yields, or a closure on a thread for
//! blocking work, runs on until it is done. That somebody asked is a fact of one snapshot; how long
//! one may take to stop is the policy's.

use std::collections::BTreeMap;

use diag_analysis::human;
use diag_snapshot::{SiteKind, TaskState};

use super::finding::{Category, Confidence, Finding, Subject, ago};
use super::params::params;
use super::rule::{self, Facts, Needs, Rule as _};
use crate::diff::{Asked, Now, SiteNow};

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

fn finding(now: &Now, site: &SiteNow, params: &Params) -> Option<Finding> {
    let grace_us = (params.grace_s * 1e6) as u64;
    let late: Vec<&Asked> = site.asked.iter().filter(|asked| asked.ago_us >= grace_us).collect();
    let longest = late.iter().max_by_key(|asked| asked.ago_us)?;
    let polling = late.iter().filter(|asked| asked.state == TaskState::Polling).count();
    Some(Finding {
        since: ago(now, longest.ago_us),
        count: Some(late.len() as u64),
        evidence: evidence(&late, longest, polling),
        waiting_at: now.waits.get(&site.site).filter(|_| polling < late.len()).cloned(),
        advice: advice(site.kind, polling > 0).to_owned(),
        risk: "a shutdown waits for them, and who asked may take them for gone".to_owned(),
        ..Finding::new(Rule::NAME, Category::Stuck, Confidence::Proven, Subject::from(&site.site))
    })
}

fn evidence(late: &[&Asked], longest: &Asked, polling: usize) -> Vec<String> {
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    late.iter().for_each(|asked| *by.entry(asked.by.as_str()).or_default() += 1);
    let by: Vec<String> = by.iter().map(|(by, tasks)| format!("{} by {by}", human::count(*tasks))).collect();
    let longest = human::duration_us(longest.ago_us);
    let mut evidence =
        vec![format!("asked to stop up to {longest} ago ({}), and still there", by.join(", "))];
    let in_one_poll = |asked: &&&Asked| asked.state == TaskState::Polling && asked.still_us >= asked.ago_us;
    let never_yielded = late.iter().filter(in_one_poll).count();
    if never_yielded > 0 {
        let tasks = human::count(never_yielded as u64);
        evidence.push(format!("{tasks} of them inside a poll that began before and has not returned"));
    }
    if polling > never_yielded {
        let tasks = human::count((polling - never_yielded) as u64);
        evidence.push(format!("{tasks} of them being polled again after it was asked"));
    }
    if polling < late.len() {
        let rest = human::count((late.len() - polling) as u64);
        evidence.push(format!("{rest} of them outside of a poll: no worker has come to drop them"));
    }
    evidence
}

fn advice(kind: SiteKind, is_polling: bool) -> &'static str {
    match (kind, is_polling) {
        (SiteKind::Blocking, _) => {
            "a running closure cannot be aborted: give it a flag to look at, or bound what it does"
        }
        (_, true) => "let it yield: await something, or `yield_now`, inside of its long loops",
        (_, false) => {
            "see which worker should run them: its thread may be blocked, or the LocalSet is not driven any more"
        }
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
