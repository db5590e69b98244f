//! `zombie`: tasks that ended and whose memory is still held.
//!
//! A `JoinHandle`, an `AbortHandle`, an entry of a `JoinSet` or a stale waker keeps the whole cell of
//! a task, its output included, and no number of tokio's counts it. That memory is kept is a fact of
//! one snapshot; that it becomes more shows in when the tasks ended: over the whole time and up to
//! now, or in one go. Of tasks of libraries nobody sees the end, only that a snapshot first found them ended: then it is
//! when they were spawned, if they live so shortly that it is nearly the same. What has ended just now may still be awaited; two snapshots tell whether any of it ever is.

use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Moves, SiteConditions, Zombie};
use crate::stats::sign_test;
use diag_analysis::views::Estimate;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many ended tasks of one site at least.
    min_tasks: Count = 10,
    /// Each held for so long after its end, if one snapshot is looked at.
    min_age_s: Seconds = 60.0,
    /// The first of them held for so long, if two show that they become more and hardly any is released.
    min_growth_s: Seconds = 15.0,
    /// So large a part of those in the first snapshot may have been released.
    max_released: Share = 0.02,
    /// The largest p at which growth is still taken for churn.
    significance: Probability = 1e-6,
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
        let looked_at = facts.now.sites.iter().filter(|site| !site.zombies.is_empty());
        looked_at.filter_map(|site| finding(facts, site, params)).collect()
    }
}

fn finding(facts: &Facts<'_>, site: &SiteConditions, params: &Params) -> Option<Finding> {
    let growth = growth(facts, site, params);
    let least = if growth.is_some() { Micros::ZERO } else { Micros::from_secs(params.min_age_s) };
    let held: Vec<&Zombie> = site.zombies.iter().filter(|zombie| zombie.ended_ago_us >= least.0).collect();
    if held.len() < params.min_tasks.max(1) as usize {
        return None;
    }
    let longest_us = longest_us(site);
    let eighths = busy_eighths(&ended_ago(site));
    let (category, confidence, risk) =
        match growth.is_some() || eighths >= 4 && comes_up_to_now(&ended_ago(site)) {
            true => (Category::Leak, Confidence::Likely, Risk::EndedTasksAdd),
            false => (Category::Retention, Confidence::Proven, Risk::KeptByHolder),
        };
    let bytes = held.iter().fold(0u64, |sum, zombie| sum.saturating_add(zombie.cell_bytes)) as f64;
    let subject = Subject::from(&site.site);
    let grew =
        growth.map(|Growth { before, released, after, .. }| Evidence::HeldGrew { before, released, after });
    Some(Finding {
        since: ago(facts.now, longest_us),
        count: Some(held.len() as u64),
        rate_per_s: growth.map(|growth| growth.per_s),
        bytes: (bytes > 0.0).then_some(Estimate {
            estimate_bytes: bytes,
            low_bytes: bytes,
            high_bytes: bytes,
        }),
        evidence: [held_since(&held, longest_us), parts(growth, eighths)].into_iter().chain(grew).collect(),
        counter_evidence: vec![Evidence::OnlyCellsCounted],
        held_by: Some(holder(&held)),
        ..Finding::new(Rule::NAME, category, confidence, subject, Advice::TakeHandles, risk)
    })
}

fn held_since(held: &[&Zombie], longest_us: u64) -> Evidence {
    let youngest = Micros(held.iter().map(|zombie| zombie.ended_ago_us).min().unwrap_or(0));
    let oldest = Micros(longest_us);
    match held.iter().all(|zombie| zombie.end_seen) {
        true => Evidence::HeldSinceEnd { youngest, oldest },
        false => Evidence::HeldSinceFound { youngest, oldest },
    }
}

fn parts(growth: Option<Growth>, ended: usize) -> Evidence {
    match growth.map(|growth| growth.spread) {
        Some(Spread::Spawns(parts)) => Evidence::SpawnedInParts { parts: parts as u64, of: 8 },
        Some(Spread::Ends) | None => Evidence::EndedInParts { parts: ended as u64, of: 8 },
    }
}

/// Ended tasks that become more while hardly any is released.
#[derive(Clone, Copy)]
struct Growth {
    before: u64,
    released: u64,
    after: u64,
    per_s: f64,
    spread: Spread,
}

/// What came in all parts of the time.
#[derive(Clone, Copy)]
enum Spread {
    /// Their ends.
    Ends,
    /// Their spawns, in so many parts, as nobody saw the ends.
    Spawns(usize),
}

/// What two snapshots show of the ended tasks of a site; none if that is not known to be growth without end.
fn growth(facts: &Facts<'_>, site: &SiteConditions, params: &Params) -> Option<Growth> {
    let diff = facts.diff?;
    let sides = diff.tasks.site(&site.site)?;
    let Moves { born, ended, survived } = sides.zombies?;
    let (before, after) = (ended + survived, born + survived);
    let is_growth = sign_test(born, ended) <= params.significance
        && ended as f64 <= params.max_released * before as f64
        && survived >= params.min_tasks;
    let spread = steady(site, sides.before.live.max(sides.after.live), born)?;
    let is_long = Micros(longest_us(site)) >= Micros::from_secs(params.min_growth_s);
    let per_s = diff.rate_per_s(born.saturating_sub(ended) as f64)?;
    (is_growth && is_long).then_some(Growth { before, released: ended, after, per_s, spread })
}

/// What shows that they ended all the time, and not in a few batches.
fn steady(site: &SiteConditions, live: u64, born: u64) -> Option<Spread> {
    let is_steady = |ago_us: &[u64]| busy_eighths(ago_us) >= 6 && comes_up_to_now(ago_us);
    if is_steady(&ended_ago(site)) {
        return Some(Spread::Ends);
    }
    // As few live at a time, each lives for a small part of the time, and ended about when it was spawned.
    let live_shortly = live.saturating_mul(8) <= born;
    let is_unseen = site.zombies.iter().all(|zombie| !zombie.end_seen);
    let spawned: Vec<u64> = site.zombies.iter().map(|zombie| zombie.spawned_ago_us).collect();
    (is_unseen && live_shortly && is_steady(&spawned)).then(|| Spread::Spawns(busy_eighths(&spawned)))
}

fn longest_us(site: &SiteConditions) -> u64 {
    site.zombies.iter().map(|zombie| zombie.ended_ago_us).max().unwrap_or(0)
}

fn ended_ago(site: &SiteConditions) -> Vec<u64> {
    site.zombies.iter().map(|zombie| zombie.ended_ago_us).collect()
}

/// True if one of these times is in the last eighth since the first of them.
fn comes_up_to_now(ago_us: &[u64]) -> bool {
    eighths(ago_us).any(|eighth| eighth == 0)
}

fn busy_eighths(ago_us: &[u64]) -> usize {
    let mut busy = [false; 8];
    eighths(ago_us).for_each(|eighth| busy[eighth] = true);
    busy.into_iter().filter(|&busy| busy).count()
}

/// In which eighth of the time since the first of them each is; 0 is the last.
fn eighths(ago_us: &[u64]) -> impl Iterator<Item = usize> {
    let range_us = ago_us.iter().max().map_or(1, |&longest_us| u128::from(longest_us) + 1);
    ago_us.iter().map(move |&ago_us| (u128::from(ago_us) * 8 / range_us) as usize)
}

fn holder(held: &[&Zombie]) -> Holder {
    let sum = |of: fn(&Zombie) -> u32| held.iter().map(|zombie| u64::from(of(zombie))).sum();
    let (handles, wakers) = (sum(|zombie| zombie.handles), sum(|zombie| zombie.wakers));
    match sum(|zombie| zombie.references) {
        0 => Holder::Handles { handles, wakers },
        references => Holder::References { handles, references },
    }
}

const DOC: &str = "\
Tokio counts them nowhere.

- **Found when** at least `min_tasks` tasks of a site ended `min_age_s` ago or more and are held.
- **Leak, likely**, and all that are held counted, when two snapshots show growth: new ones against released ones have a chance
  of at most `significance`, at most `max_released` of those in the first snapshot are gone, at least `min_tasks` are still
  there, and they ended in at least 6 of 8 equal parts, the last one included, of at least `min_growth_s`. Or when they ended in at least 4 of 8 equal parts of the time since the first of them, the last part
  included: each new task adds to it. **Retention, proven** otherwise: a batch that nobody took out yet.
- **Tasks of libraries**: nobody sees them end, so an age is the time since a snapshot first found them ended, and growth is read
  off the times of their spawns if at most an eighth as many live as have come.
- **Evidence**: when they ended. **Held by**: how many handles and wakers. **Bytes**: the cells alone, without what the
  outputs point to.
- **Disproved by** a third snapshot without them.
- **Silent twins**: handles that are awaited within a minute; a few handles of tasks that ended long ago.
";
