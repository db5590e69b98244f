//! `zombie`: tasks that ended and whose memory is still held.
//!
//! A `JoinHandle`, an `AbortHandle`, an entry of a `JoinSet` or a stale waker keeps the whole cell of
//! a task, its output included, and no number of tokio's counts it. That memory is kept is a fact of
//! one snapshot; that it becomes more shows in when the tasks ended: over the whole time and up to
//! now, or in one go. What has ended just now may still be awaited.

use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Now, SiteNow, Zombie};
use diag_analysis::views::Estimate;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many ended tasks of one site at least.
    min_tasks: Count = 10,
    /// Each held for so long after its end.
    min_age_s: Seconds = 60.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "zombie";
    const CATEGORIES: &'static [Category] = &[Category::Leak, Category::Retention];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str =
        "these tasks ended, and their memory is still held by handles, entries of a set or wakers";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        facts.now.sites.iter().filter_map(|site| finding(facts.now, site, params)).collect()
    }
}

fn finding(now: &Now, site: &SiteNow, params: &Params) -> Option<Finding> {
    let least_us = (params.min_age_s * 1e6) as u64;
    let held: Vec<&Zombie> = site.zombies.iter().filter(|zombie| zombie.ended_ago_us >= least_us).collect();
    if held.len() < params.min_tasks.max(1) as usize {
        return None;
    }
    let longest_us = held.iter().map(|zombie| zombie.ended_ago_us).max().unwrap_or(0);
    let eighths = busy_eighths(&site.zombies, longest_us);
    let adds = eighths >= 4 && site.zombies.iter().any(|zombie| is_last_eighth(zombie, longest_us));
    let (category, confidence, risk) = match adds {
        true => (Category::Leak, Confidence::Likely, Risk::EndedTasksAdd),
        false => (Category::Retention, Confidence::Proven, Risk::KeptByHolder),
    };
    let bytes = held.iter().fold(0u64, |sum, zombie| sum.saturating_add(zombie.cell_bytes)) as f64;
    let subject = Subject::from(&site.site);
    Some(Finding {
        since: ago(now, longest_us),
        count: Some(held.len() as u64),
        bytes: (bytes > 0.0).then_some(Estimate {
            estimate_bytes: bytes,
            low_bytes: bytes,
            high_bytes: bytes,
        }),
        evidence: vec![
            Evidence::HeldSinceEnd {
                youngest: Micros(held.iter().map(|zombie| zombie.ended_ago_us).min().unwrap_or(0)),
                oldest: Micros(longest_us),
            },
            Evidence::EndedInParts { parts: eighths as u64, of: 8 },
        ],
        counter_evidence: vec![Evidence::OnlyCellsCounted],
        held_by: Some(holder(&held)),
        ..Finding::new(Rule::NAME, category, confidence, subject, Advice::TakeHandles, risk)
    })
}

fn busy_eighths(zombies: &[Zombie], longest_us: u64) -> usize {
    let mut ended = [false; 8];
    for zombie in zombies {
        ended[eighth(zombie, longest_us)] = true;
    }
    ended.into_iter().filter(|&ended| ended).count()
}

fn is_last_eighth(zombie: &Zombie, longest_us: u64) -> bool {
    eighth(zombie, longest_us) == 0
}

/// In which eighth of the time since the first of them it ended; 0 is the last.
fn eighth(zombie: &Zombie, longest_us: u64) -> usize {
    let part = u128::from(zombie.ended_ago_us) * 8 / u128::from(longest_us.saturating_add(1));
    (part as usize).min(7)
}

fn holder(held: &[&Zombie]) -> Holder {
    let sum = |of: fn(&Zombie) -> u32| held.iter().map(|zombie| u64::from(of(zombie))).sum();
    Holder::Handles { handles: sum(|zombie| zombie.handles), wakers: sum(|zombie| zombie.wakers) }
}

const DOC: &str = "\
Tokio counts them nowhere.

- **Found when** at least `min_tasks` tasks of a site ended `min_age_s` ago or more and are held.
- **Leak, likely** when they ended in at least 4 of 8 equal parts of the time since the first of them, the last part
  included: each new task adds to it. **Retention, proven** otherwise: a batch that nobody took out yet.
- **Evidence**: when they ended. **Held by**: how many handles and wakers. **Bytes**: the cells alone, without what the
  outputs point to.
- **Disproved by** a third snapshot without them.
- **Silent twins**: handles that are awaited within a minute; a few handles of tasks that ended long ago.
";
