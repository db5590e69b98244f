//! `gauge-growth`: what the process has open, or a number that it publishes, becomes more and more.
//!
//! A connection that is taken and never given back has no task and hardly any memory. What is left to see is that sockets
//! rise, however many come and go besides. More load does the same, and has tasks: where these become more in step, they
//! are the load, or the leak that `task-leak` tells. A child process that has ended and that nobody waits for is neither.

use diag_analysis::gauge::Gauge;
use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::fact::PerSecond;
use super::finding::{Category, Confidence, Finding};
use super::forecast::descriptors_run_out;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::trend::{Rise, RiseLimits, Trend};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// It rose in each of so many windows.
    min_windows: Count = 2,
    /// These last for so long together.
    min_growth_s: Seconds = 29.0,
    /// By so many in all.
    min_rise: Count = 10,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "gauge-growth";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["resource-leak"];
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str = "open descriptors, ended child processes, or a number that the service publishes, become more and more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(trend) = facts.trend else { return Vec::new() };
        let mut rises: Vec<(&Gauge, Rise)> = rises(trend, params).collect();
        // Descriptors first, and of these those that rose the most.
        rises.sort_by_key(|(gauge, rise)| (is_published(gauge), std::cmp::Reverse(rise.rise())));
        let mut findings: Vec<(&(&Gauge, Rise), Finding)> = Vec::new();
        for rising in &rises {
            match findings.iter_mut().find(|(first, _)| is_one_cause(first, rising)) {
                Some((_, finding)) => finding.evidence.push(rose(rising.0, &rising.1)),
                None => findings.push((rising, finding(facts, trend, rising.0, &rising.1, params))),
            }
        }
        findings.into_iter().map(|(_, finding)| finding).collect()
    }
}

/// A rise is so many times as large as the largest fall.
const MIN_FALLS: u64 = 2;

/// What rises, and not with the tasks that have it.
fn rises<'a>(trend: &'a Trend, params: &Params) -> impl Iterator<Item = (&'a Gauge, Rise)> {
    let limits = RiseLimits {
        min_windows: params.min_windows.clamp(1, 1_000) as usize,
        min_growth_us: Micros::from_secs(params.min_growth_s).0,
        min_rise: params.min_rise,
        min_falls: MIN_FALLS,
        min_last: 0.0,
    };
    let watched = trend.gauges.iter().filter(|(gauge, _)| !is_total(gauge));
    watched
        .filter_map(move |(gauge, values)| Some((gauge, Rise::of(values, trend, &limits)?)))
        .filter(|(gauge, rise)| **gauge == Gauge::EndedChildren || !is_explained(trend, rise))
}

fn is_published(gauge: &Gauge) -> bool {
    matches!(gauge, Gauge::Published(_))
}

/// What counts events only ever rises, and is named so by convention.
fn is_total(gauge: &Gauge) -> bool {
    matches!(gauge, Gauge::Published(name) if name.ends_with("_total"))
}

/// Kinds of descriptors rise together, as all that a runtime or a client opens; a published number rises with them
/// if it does by about as much.
fn is_one_cause((gauge, rise): &(&Gauge, Rise), (other_gauge, other): &(&Gauge, Rise)) -> bool {
    let is_as_much = other.rise().abs_diff(rise.rise()) <= rise.rise() / 4;
    let is_of_children = |gauge: &Gauge| *gauge == Gauge::EndedChildren;
    !is_of_children(gauge)
        && !is_of_children(other_gauge)
        && !is_published(gauge)
        && (!is_published(other_gauge) || is_as_much)
}

/// True if the tasks of a site, tasks that are not tracked, or threads became more in step.
fn is_explained(trend: &Trend, rise: &Rise) -> bool {
    let Some(last) = trend.last() else { return false };
    let more = |counts: &[u64]| {
        counts.get(rise.since).zip(counts.get(last)).map_or(0, |(then, now)| now.saturating_sub(*then))
    };
    let of_moments = |count: fn(&crate::trend::Moment) -> Option<u64>| {
        let counts: Option<Vec<u64>> = trend.moments.iter().map(count).collect();
        more(&counts.unwrap_or_default())
    };
    let of_sites = trend.tasks.iter().map(|(_, tasks)| more(&tasks.live));
    let mut all =
        of_sites.chain([of_moments(|moment| moment.untracked), of_moments(|moment| moment.threads)]);
    all.any(|more| is_in_step(more, rise.rise()))
}

/// True if so many tasks more stand for what is so much more: two of that for each, one for four, and anything between.
pub(super) fn is_in_step(more_tasks: u64, more: u64) -> bool {
    more_tasks.saturating_mul(11) >= more.saturating_mul(5) && more_tasks <= more.saturating_mul(4)
}

fn finding(facts: &Facts<'_>, trend: &Trend, gauge: &Gauge, rise: &Rise, params: &Params) -> Finding {
    let per_s = rise.rates.mean;
    let after = facts.next_look(Micros::from_secs(params.min_growth_s));
    // Who has ended is no load, and there is nothing to do with it but to wait for it.
    let is_load = *gauge != Gauge::EndedChildren;
    let confidence = if is_load { Confidence::Possible } else { Confidence::Likely };
    Finding {
        since: trend.taken(rise.since),
        count: rise.floors.last().copied(),
        rate_per_s: Some(per_s),
        evidence: vec![rose(gauge, rise)],
        counter_evidence: is_load.then_some(Evidence::MoreLoadLooksTheSame).into_iter().collect(),
        ..Finding::new(
            Rule::NAME,
            Category::Leak,
            confidence,
            Subject::Gauge(gauge.clone()),
            Advice::FindWhoOpens { gauge: gauge.clone(), after },
            risk(facts, gauge, per_s),
        )
    }
}

fn rose(gauge: &Gauge, rise: &Rise) -> Evidence {
    Evidence::GaugeRose { gauge: gauge.clone(), lasted: Micros(rise.lasted_us), floors: rise.floors.clone() }
}

/// When there may be no more descriptors, or how many more there will be.
fn risk(facts: &Facts<'_>, gauge: &Gauge, per_s: f64) -> Risk {
    let diff = facts.diff.filter(|_| matches!(gauge, Gauge::Descriptors(_) | Gauge::OpenFiles));
    let run_out = diff.and_then(|diff| descriptors_run_out(diff, per_s));
    run_out.unwrap_or(Risk::GaugeGrows { more: PerSecond(per_s) })
}

const DOC: &str = "\
Looked at are open descriptors by kind (sockets, files, pipes ..), child processes that have ended and that nobody has waited for, and
the numbers that the service publishes, unless their name ends with `_total`. Threads are a matter of `resident-growth`. **Likely** of
ended children, as these are no load; else **possible**.

- **Found when**, in a series, a count rose in each of `min_windows` windows or more, up to six, `min_growth_s` together, by
  `min_rise` in all, and in each at a third of the mean rate at least. Of each moment counts what no later one falls
  below, so what comes and goes is not taken for what stays. The rise is at least twice the largest fall of the series, and five standard
  deviations of a count that fluctuates freely (its square root). It is looked for from the first snapshot on and from later ones.
- **Silent** where it rises with tasks, but for ended children: the live tasks of one site, the untracked ones or the threads became more in step, with two
  of what is counted for each, one for four, or anything between. They are the load, or the leak that is told there.
- **Evidence**: what stayed, window by window, and what rose with it. **Counter-evidence**: that more load, or a pool on its way to its
  size, looks the same where no task stands for a connection.
- **Disproved by** a later snapshot in which it stopped rising.
- **Silent twins**: 190 connections that stay; 10 to 30 that come and go; connections that rise with their tasks; a wave of
  reconnects; a pool that is full (`tests/gauge_growth.rs`).
";
