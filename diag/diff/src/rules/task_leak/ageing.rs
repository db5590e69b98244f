//! Sites that bear tasks all the time, whatever these do, and end none of the older ones.

use diag_snapshot::Micros;

use super::{Params, Rule, busy_eighths, cells, of_live_tasks, risk, stays};
use crate::diff::{Births, Diff, Older, Site, SiteDiff};
use crate::rules::advice::Advice;
use crate::rules::evidence::{Evidence, labelled};
use crate::rules::fact::Percent;
use crate::rules::finding::{Category, Confidence, Finding};
use crate::rules::rule::{Facts, Rule as _};
use crate::rules::subject::Subject;
use crate::rules::wait::Wait;
use crate::stats::sign_test;
use crate::time::timestamp;
use crate::trend::is_more;

/// A site that bears tasks all the time which outlive the others, and ends none of them.
pub(super) struct Ageing<'a> {
    site: &'a SiteDiff,
    outlived: Older,
    /// None of the site ever ended, and there is more to do, or may be: a pool grows to its size.
    is_pool: bool,
    /// Which part of a CPU the process used in the first and in the last third of the time, where that says that there was no
    /// more to do.
    idle: Option<[f64; 2]>,
    /// None was spawned in the later half of the time between the snapshots: it may have its size.
    has_paused: bool,
}

impl<'a> Ageing<'a> {
    pub(super) fn of(facts: &Facts<'_>, diff: &Diff, site: &'a SiteDiff, params: &Params) -> Option<Self> {
        let (outlived, births) = (site.outlived?, &site.after.births);
        let stayed = outlived.before.saturating_sub(outlived.ended);
        let is_growth = births.count >= params.min_tasks
            && sign_test(births.count.saturating_sub(stayed), outlived.ended) <= params.significance;
        let (has_ended, is_of_library) = (site.after.totals.ended() > 0, site.kind.is_of_library());
        // Whether a library's tasks are at work nobody sees, and those of connections come for as long as clients do.
        let idle = if is_of_library && !has_ended { cpu_of_idle(facts) } else { None };
        let is_pool = !has_ended && (has_more_load(facts, diff, site) || is_of_library && idle.is_none());
        let has_paused = Micros(births.quiet_us.saturating_mul(2)) > diff.window();
        let ageing = Ageing { site, outlived, is_pool, idle, has_paused };
        (is_growth && come_all_the_time(births)).then_some(ageing)
    }

    fn confidence(&self, params: &Params) -> Confidence {
        let is_long = Micros(self.site.after.births.oldest_us) >= params.min_growth();
        let stay = stays(self.outlived.before, self.outlived.ended, params) || self.none_ends(params);
        if is_long && stay && !self.is_pool && !self.has_paused {
            Confidence::Likely
        } else {
            Confidence::Possible
        }
    }

    /// True if no task of the site ended at all since the first snapshot, and many have been there for half of the time in
    /// which they came: where they come one by one, hardly any are as old as the first snapshot. They come all the time, which a
    /// ramp does not.
    fn none_ends(&self, params: &Params) -> bool {
        let (before, after) = (&self.site.before.totals, &self.site.after.totals);
        let births = &self.site.after.births;
        let older: u64 = births.eighths[..4].iter().sum();
        self.outlived.ended == 0
            && after.ended() == before.ended()
            && older >= params.min_tasks
            && busy_eighths(&births.eighths, births.count) >= 7
    }

    pub(super) fn finding(&self, diff: &Diff, params: &Params) -> Finding {
        let births = &self.site.after.births;
        let confidence = self.confidence(params);
        let totals = self.site.after.totals;
        let grown = births.count.saturating_sub(self.outlived.before);
        let rate_per_s = diff.rate_per_s(grown as f64);
        let own_life = self.site.usual_lifetime_us.map(|usual| Evidence::OutlivedPeers {
            tasks: births.count,
            ended: totals.ended(),
            usual_lifetime: Micros(usual),
        });
        let mut evidence: Vec<Evidence> = own_life.into_iter().collect();
        evidence.extend([
            Evidence::OlderStayed {
                older: self.outlived.before,
                ended: self.outlived.ended,
                window: diff.window(),
            },
            Evidence::BornInParts {
                tasks: births.count,
                parts: busy_eighths(&births.eighths, births.count) as u64,
                of: 8,
                lasted: Micros(births.oldest_us),
            },
            Evidence::SinceStart { spawned: totals.spawned, ended: totals.ended() },
        ]);
        evidence.extend(labelled(&self.site.after.outlived_labels));
        let polled_lately = births.count.saturating_sub(self.site.after.stale);
        let is_of_library = self.site.kind.is_of_library();
        if is_of_library {
            evidence.push(Evidence::SpawnedByLibrary { runs: self.site.site.type_name.clone() });
        } else if polled_lately > 0 {
            evidence.push(Evidence::PolledLately { tasks: polled_lately });
        }
        evidence.extend(self.idle.map(|[first, last]| Evidence::CpuUseStayed {
            first: Percent(first * 100.0),
            last: Percent(last * 100.0),
        }));
        let short = Micros(births.oldest_us) < params.min_growth();
        let against = [
            short.then_some(Evidence::GrowthIsShort {
                lasted: Micros(births.oldest_us),
                least: params.min_growth(),
            }),
            (totals.ended() == 0).then_some(Evidence::NoneEnded),
        ];
        let subject = Subject::from(&self.site.site);
        let risk = risk(self.site, rate_per_s);
        let advice = match confidence {
            Confidence::Possible => {
                let missing = params.min_growth() - Micros(births.oldest_us);
                Advice::CompareTasksAgain { after: missing.max(diff.window()) }
            }
            _ if is_of_library && !is_own_future(&self.site.site, &diff.service) => {
                Advice::ShareWhatSpawns { spawned_at: self.site.site.clone() }
            }
            _ => Advice::EndWithOwner { spawned_at: self.site.site.clone() },
        };
        Finding {
            since: timestamp(diff.after.taken_unix_us.saturating_sub(births.oldest_us)),
            count: Some(births.count),
            rate_per_s,
            bytes: of_live_tasks(diff, self.site),
            cell_bytes: cells(diff, self.site),
            evidence,
            counter_evidence: against.into_iter().flatten().collect(),
            waiting_at: Wait::of_most(&self.site.after.outlived_waits),
            ..Finding::new(Rule::NAME, Category::Leak, confidence, subject, advice, risk)
        }
    }
}

/// True if there is more to do for others than this site.
fn has_more_load(facts: &Facts<'_>, diff: &Diff, site: &SiteDiff) -> bool {
    let mut others = diff.tasks.sites.iter().filter(|other| other.site != site.site);
    // What never ends either may be of the same thing.
    let ends = |other: &SiteDiff| other.after.totals.ended() > 0;
    others.any(|other| ends(other) && is_more(other.before.live, other.after.live))
        || facts.series.is_some_and(|trend| trend.has_more_load_besides(Some(&site.site), 0))
}

/// True if the future's type is of the crate that has the service's name.
fn is_own_future(site: &Site, service: &str) -> bool {
    site.type_name.split("::").next() == Some(&service.replace('-', "_"))
}

/// Which part of a CPU the process used in the first and in the last third of the time, if that is no more.
fn cpu_of_idle(facts: &Facts<'_>) -> Option<[f64; 2]> {
    /// More work takes so many times as much.
    const MORE: f64 = 1.25;
    let [first, middle, last] = facts.series?.cpu_use()?;
    (last <= first.min(middle) * MORE).then_some([first, last])
}

/// In most parts of the time since the first of them, about as many in the later half as in the earlier one, and not
/// paused for longer than ever before.
fn come_all_the_time(births: &Births) -> bool {
    let half = |range: std::ops::Range<usize>| births.eighths[range].iter().sum::<u64>();
    let mean_gap_us = births.oldest_us / births.count.max(1);
    let pause_us = mean_gap_us.saturating_mul(10).max(births.longest_gap_us / 2 * 5);
    busy_eighths(&births.eighths, births.count) >= 6
        && half(4..8) * 3 >= half(0..4)
        && births.quiet_us <= pause_us
}
