//! `lost-waker`: tasks that nothing can wake any more.
//!
//! Such a task returned `Pending`, is not scheduled, and nobody holds a waker of it: its future threw
//! the waker away, or what kept it was dropped without a wake. A handle that is alive may still end
//! it, and is often held on purpose to keep something, so such tasks are not told of by default.
//! A future inside a task may have been left on purpose too: `select!` does.

use diag_snapshot::{SiteKind, human};

use super::{Class, Finding, Grade, Subject};
use crate::diff::{Lost, Now, SiteNow};
use crate::policy::{LostWaker, Policy};

pub(super) const NAME: &str = "lost-waker";

/// So many confirming polls prove it.
const PROOF: u32 = 2;

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
    let proven: Vec<&Lost> = free.iter().copied().filter(|lost| lost.confirmed >= PROOF).collect();
    let (lost, grade) = if proven.is_empty() { (free, Grade::Likely) } else { (proven, Grade::Proven) };
    let longest_us = lost.iter().map(|lost| lost.idle_us).max().unwrap_or(0);
    let count = lost.len() as u64 + site.rescued;
    (count >= limits.min_tasks.max(1)).then(|| Finding {
        since: super::ago(now, longest_us).filter(|_| !lost.is_empty()),
        count: Some(count),
        evidence: evidence(site, &lost, grade, longest_us),
        advice:
            "look at what these tasks awaited last: a future that returned `Pending` without keeping the \
                 waker, or whose waker was dropped without a wake"
                .to_owned(),
        risk: "they never run again, and what they hold, locks and permits included, is never given back"
            .to_owned(),
        ..Finding::new(NAME, Class::Stuck, grade, Subject::from(&site.site))
    })
}

fn evidence(site: &SiteNow, lost: &[&Lost], grade: Grade, longest_us: u64) -> Vec<String> {
    let mut evidence = Vec::new();
    if !lost.is_empty() {
        evidence.push(format!(
            "{} idle, not scheduled, and nobody holds a waker: nothing can wake them; idle for up to {}",
            tasks_are(lost.len()),
            human::duration_us(longest_us)
        ));
    }
    if grade == Grade::Proven {
        evidence.push("two more polls by the recorder left no waker either".to_owned());
    }
    if !lost.is_empty() && lost.iter().all(|lost| lost.handles == Some(0)) {
        evidence.push("no handle is left, so nothing can end them before the process does".to_owned());
    }
    if site.rescued > 0 {
        evidence.push(format!(
            "{} found ready by a poll of the recorder, though nothing had woken them",
            if site.rescued == 1 {
                "1 task was".to_owned()
            } else {
                format!("{} tasks were", human::count(site.rescued))
            },
        ));
    }
    evidence
}

fn tasks_are(tasks: usize) -> String {
    if tasks == 1 { "1 task is".to_owned() } else { format!("{} tasks are", human::count(tasks as u64)) }
}
