//! `lost-waker`: tasks that nothing can wake any more.
//!
//! Such a task returned `Pending`, is not scheduled, and nobody holds a waker of it: its future threw
//! the waker away, or what kept it was dropped without a wake. A handle that is alive may still end
//! it, and is often held on purpose to keep something, so such tasks are not told of by default.
//! A future inside a task may have been left on purpose too: `select!` does.

use std::collections::BTreeMap;

use diag_analysis::human;
use diag_snapshot::SiteKind;

use super::{Class, Finding, Grade, Subject};
use crate::diff::{Lost, Now, SiteNow};
use crate::policy::{LostWaker, Policy};

pub(super) const NAME: &str = "lost-waker";

pub(super) fn judge(now: &Now, policy: &Policy) -> Vec<Finding> {
    let limits = &policy.rules.lost_waker;
    now.sites.iter().filter_map(|site| finding(now, site, limits)).collect()
}

fn finding(now: &Now, site: &SiteNow, limits: &LostWaker) -> Option<Finding> {
    if site.kind == SiteKind::Future {
        return None;
    }
    let free: Vec<&Lost> =
        site.lost.iter().filter(|lost| limits.with_handle || lost.handles == Some(0)).collect();
    let proven: Vec<&Lost> = free.iter().copied().filter(|lost| lost.proven).collect();
    let (lost, grade) = if proven.is_empty() { (free, Grade::Likely) } else { (proven, Grade::Proven) };
    let longest_us = lost.iter().map(|lost| lost.idle_us).max().unwrap_or(0);
    (lost.len() as u64 >= limits.min_tasks.max(1)).then(|| Finding {
        since: super::ago(now, longest_us),
        count: Some(lost.len() as u64),
        evidence: evidence(&lost, grade, longest_us),
        advice:
            "look at what these tasks awaited last: a future that returned `Pending` without keeping the \
                 waker, or whose waker was dropped without a wake"
                .to_owned(),
        risk: "they never run again, and what they hold, locks and permits included, is never given back"
            .to_owned(),
        ..Finding::new(NAME, Class::Stuck, grade, Subject::from(&site.site))
    })
}

fn evidence(lost: &[&Lost], grade: Grade, longest_us: u64) -> Vec<String> {
    let mut evidence = vec![format!(
        "{} idle, not scheduled, and nobody holds a waker: nothing can wake them; idle for up to {}",
        tasks_are(lost.len()),
        human::duration_us(longest_us)
    )];
    evidence.push(match grade {
        Grade::Proven => "the runtime owes them no poll either".to_owned(),
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
