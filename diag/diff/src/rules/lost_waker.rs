//! `lost-waker`: tasks that nothing can wake any more.
//!
//! Such a task returned `Pending`, is not scheduled, and nobody holds a waker of it: its future threw
//! the waker away, or what kept it was dropped without a wake. A handle that is alive may still end
//! it, and is often held on purpose to keep something, so such tasks are not told of by default.
//! A future inside a task may have been left on purpose too: `select!` does.

use std::collections::BTreeMap;

use diag_analysis::human;
use diag_snapshot::SiteKind;

use super::finding::{Category, Confidence, Finding, Subject, ago};
use super::params::params;
use super::rule::{self, Facts, Needs, Rule as _};
use crate::diff::{Lost, Now, SiteNow};

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

fn finding(now: &Now, site: &SiteNow, params: &Params) -> Option<Finding> {
    if site.kind == SiteKind::Future {
        return None;
    }
    let free: Vec<&Lost> =
        site.lost.iter().filter(|lost| params.with_handle || lost.handles == Some(0)).collect();
    let proven: Vec<&Lost> = free.iter().copied().filter(|lost| lost.proven).collect();
    let (lost, confidence) =
        if proven.is_empty() { (free, Confidence::Likely) } else { (proven, Confidence::Proven) };
    let longest_us = lost.iter().map(|lost| lost.idle_us).max().unwrap_or(0);
    (lost.len() as u64 >= params.min_tasks.max(1)).then(|| Finding {
        since: ago(now, longest_us),
        count: Some(lost.len() as u64),
        evidence: evidence(&lost, confidence, longest_us),
        advice:
            "look at what these tasks awaited last: a future that returned `Pending` without keeping the \
                 waker, or whose waker was dropped without a wake"
                .to_owned(),
        risk: "they never run again, and what they hold, locks and permits included, is never given back"
            .to_owned(),
        ..Finding::new(Rule::NAME, Category::Stuck, confidence, Subject::from(&site.site))
    })
}

fn evidence(lost: &[&Lost], confidence: Confidence, longest_us: u64) -> Vec<String> {
    let mut evidence = vec![format!(
        "{} idle, not scheduled, and nobody holds a waker: nothing can wake them; idle for up to {}",
        tasks_are(lost.len()),
        human::duration_us(longest_us)
    )];
    evidence.push(match confidence {
        Confidence::Proven => "the runtime owes them no poll either".to_owned(),
        _ => "not proven: the runtime may still owe them a poll".to_owned(),
    });
    if lost.iter().all(|lost| lost.handles == Some(0)) {
        evidence.push("no handle is left, so nothing can end them before the process does".to_owned());
    }
    let mut takers: BTreeMap<&str, usize> = BTreeMap::new();
    lost.iter()
        .filter_map(|lost| lost.displaced_by.as_deref())
        .for_each(|by| *takers.entry(by).or_default() += 1);
    evidence.extend(takers.iter().map(|(by, &tasks)| {
        format!(
            "the last waker of {} was dropped in a poll of a task spawned at {}, and nobody had woken {}",
            if tasks == 1 {
                "1 of them".to_owned()
            } else {
                format!("{} of them", human::count(tasks as u64))
            },
            human::name(by),
            if tasks == 1 { "it" } else { "them" },
        )
    }));
    evidence
}

fn tasks_are(tasks: usize) -> String {
    if tasks == 1 { "1 task is".to_owned() } else { format!("{} tasks are", human::count(tasks as u64)) }
}

const DOC: &str = "\
Each is idle, is not scheduled, and nobody holds a clone of its waker.

- **Found when** at least `min_tasks` tasks of a site are so and no handle is left that could end them; with
  `with_handle = true` also those that a handle could end. A future inside of a task (`track`) is never told of, since
  `select!` leaves such futures on purpose. Nor is one that somebody asked to stop, or whose future is being dropped.
- **Proven** when the runtime owes the task no poll: one wake caused its last poll, and there was no other. No poll of
  ours is needed. **Likely** if there was more than one, since that may bring one poll more.
- **Evidence**: for how long they are idle, whether a poll may be owed, that no handle is left, and in whose poll the
  last waker was dropped.
- **Disproved by** a third snapshot in which one of them was polled.
- **Silent twins**: a pending task that a handle keeps as a guard; a task whose handles are not counted
  (`tests/one_file.rs`).
";
