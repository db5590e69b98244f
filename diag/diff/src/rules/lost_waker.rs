//! `lost-waker`: tasks that nothing can wake any more.
//!
//! Such a task returned `Pending`, is not scheduled, and nobody holds a waker of it: its future threw
//! the waker away, or what kept it was dropped without a wake. A handle that is alive may still end
//! it, and is often held on purpose to keep something, so such tasks are not told of by default.
//! A future inside a task may have been left on purpose too: `select!` does.

use std::collections::BTreeMap;

use diag_snapshot::{Micros, SiteKind};

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Conditions, Lost, SiteConditions};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many tasks of a site at least.
    min_tasks: Count = 1,
    /// True to tell of tasks that a live handle may still end, too.
    with_handle: Flag = false,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "lost-waker";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str = "nothing can wake these tasks any more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        facts.now.sites.iter().filter_map(|site| finding(facts.now, site, params)).collect()
    }
}

fn finding(now: &Conditions, site: &SiteConditions, params: &Params) -> Option<Finding> {
    if site.kind == SiteKind::Future {
        return None;
    }
    let free: Vec<&Lost> =
        site.lost.iter().filter(|lost| params.with_handle || lost.handles == Some(0)).collect();
    let proven: Vec<&Lost> = free.iter().copied().filter(|lost| lost.proven).collect();
    let (lost, confidence) =
        if proven.is_empty() { (free, Confidence::Likely) } else { (proven, Confidence::Proven) };
    // One task that gave its waker to nothing may mean to: `pending()` ends a task that a drop is to end.
    let may_mean_it = lost.len() == 1 && lost.iter().all(|lost| lost.waker_taken == Some(false));
    let evidence_of = confidence;
    let confidence = if may_mean_it { Confidence::Possible } else { confidence };
    let longest_us = lost.iter().map(|lost| lost.idle_us).max().unwrap_or(0);
    let labels = now.labels.among(lost.iter().map(|lost| lost.task));
    let subject = Subject::from(&site.site);
    let (category, advice, risk) = (Category::Stuck, Advice::LookAtLastAwait, Risk::NeverGivenBack);
    (lost.len() as u64 >= params.min_tasks.max(1)).then(|| Finding {
        since: ago(now, longest_us),
        count: Some(lost.len() as u64),
        evidence: evidence(&lost, evidence_of, longest_us).into_iter().chain(labelled(&labels)).collect(),
        counter_evidence: may_mean_it.then_some(Evidence::PendingOnPurpose).into_iter().collect(),
        ..Finding::new(Rule::NAME, category, confidence, subject, advice, risk)
    })
}

fn evidence(lost: &[&Lost], confidence: Confidence, longest_us: u64) -> Vec<Evidence> {
    let mut evidence =
        vec![Evidence::NobodyWakes { tasks: lost.len() as u64, longest_idle: Micros(longest_us) }];
    evidence.push(match confidence {
        Confidence::Proven => Evidence::NoPollOwed,
        _ => Evidence::PollMayBeOwed,
    });
    if lost.iter().all(|lost| lost.handles == Some(0)) {
        evidence.push(Evidence::NoHandleLeft);
    }
    let mut takers: BTreeMap<&str, u64> = BTreeMap::new();
    let displaced_by = lost.iter().filter_map(|lost| lost.displaced_by.as_deref());
    displaced_by.for_each(|by| *takers.entry(by).or_default() += 1);
    let dropped_by = |(by, tasks): (&str, u64)| Evidence::WakerDroppedBy { tasks, spawned_at: by.to_owned() };
    evidence.extend(takers.into_iter().map(dropped_by));
    evidence
}

const DOC: &str = "\
Each is idle, is not scheduled, and nobody holds a clone of its waker.

- **Found when** at least `min_tasks` tasks of a site are so and no handle is left that could end them; with
  `with_handle = true` also those that a handle could end. A future inside of a task (`track`) is never told of, since
  `select!` leaves such futures on purpose. Nor is one that somebody asked to stop, or whose future is being dropped.
- **Proven** when the runtime owes the task no poll: one wake caused its last poll, and there was no other. No poll of
  ours is needed. **Likely** if there was more than one, since that may bring one poll more. **Possible** of a single task
  whose last poll gave its waker to nothing: `std::future::pending()` does that on purpose.
- **Evidence**: for how long they are idle, whether a poll may be owed, that no handle is left, and in whose poll the
  last waker was dropped.
- **Disproved by** a third snapshot in which one of them was polled.
- **Silent twins**: a pending task that a handle keeps as a guard; a task whose handles are not counted
  (`tests/one_file.rs`).
";
