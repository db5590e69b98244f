//! Sites whose tasks all end, and that have more and more of them all the same.
//!
//! More load does that, and is no fault. Two things load does not do. It does not come from the tasks of the site itself:
//! where these spawn most of what is new, and become more faster than what others spawn, they multiply. And it does not come at the
//! same rate: where no more are spawned than before, more and more of them live because each takes ever longer, and
//! whoever serves them falls behind.

use diag_snapshot::Micros;

use super::{Params, Rule, cells, of_live_tasks, risk};
use crate::diff::{Diff, Site, SiteDiff};
use crate::rules::advice::Advice;
use crate::rules::evidence::{Evidence, labelled};
use crate::rules::finding::{Category, Confidence, Finding};
use crate::rules::rule::{Facts, Rule as _};
use crate::rules::subject::Subject;
use crate::rules::wait::Wait;
use crate::trend::{TaskTrend, Trend};

/// A site that has more tasks at the end of each window than at its begin.
struct Crowd<'a> {
    trend: &'a Trend,
    tasks: &'a TaskTrend,
    /// Where the windows begin and end.
    bounds: Vec<usize>,
}

const WINDOWS: usize = 3;
/// Tasks multiply if so large a part of what is new in each window is spawned by the site's own.
const MOST: f64 = 0.8;
/// And if these became so many times as many, beside those that others spawn.
const MIN_TIMES: f64 = 2.0;
/// Load is the same if the last window has no more than so many times the spawns of the first, by the second.
const SAME_LOAD: f64 = 1.25;
/// Tasks end, if so large a part of those that come do in each window.
const MIN_ENDED: f64 = 0.2;

pub(super) fn finding(facts: &Facts<'_>, diff: &Diff, site: &SiteDiff, params: &Params) -> Option<Finding> {
    let trend = facts.trend?;
    let crowd = Crowd::of(trend, site, params)?;
    let live = crowd.windows(&crowd.tasks.live)?;
    let (&[before, _], &[_, after]) = (live.first()?, live.last()?);
    let lasted = Micros(trend.between_us(0, trend.last()?));
    let rate_per_s = diff.rate_per_s(after.saturating_sub(before) as f64);
    let grew = Evidence::CrowdGrew { before, after, windows: WINDOWS as u64, lasted };
    let since_start =
        Evidence::SinceStart { spawned: site.after.totals.spawned, ended: site.after.totals.ended() };
    let (told, advice) = match crowd.cause(&site.site) {
        None => (None, Advice::CompareTasksAgain { after: diff.window() }),
        Some((told, advice)) => (Some(told), advice),
    };
    let (confidence, may_be_load) = match &told {
        None => (Confidence::Possible, Some(Evidence::NoneIsOld)),
        Some(_) => (Confidence::Likely, None),
    };
    Some(Finding {
        count: Some(after),
        rate_per_s,
        bytes: of_live_tasks(diff, site),
        cell_bytes: cells(diff, site),
        evidence: [Some(grew), told, Some(since_start)]
            .into_iter()
            .flatten()
            .chain(labelled(&site.after.live_labels))
            .collect(),
        counter_evidence: may_be_load.into_iter().collect(),
        waiting_at: facts.now.waits.get(&site.site).map(|at| Wait::All { at: at.clone() }),
        ..Finding::new(
            Rule::NAME,
            Category::Leak,
            confidence,
            Subject::from(&site.site),
            advice,
            risk(site, rate_per_s),
        )
    })
}

impl<'a> Crowd<'a> {
    fn of(trend: &'a Trend, site: &SiteDiff, params: &Params) -> Option<Self> {
        let tasks = trend.tasks_of(&site.site)?;
        let bounds = trend.long_windows(WINDOWS, params.min_growth())?;
        let crowd = Crowd { trend, tasks, bounds };
        let grew = |[was, is]: [u64; 2]| is >= was.saturating_add(params.min_tasks.max(was / 10));
        crowd.windows(&tasks.live)?.into_iter().all(grew).then_some(crowd)
    }

    /// What was at the begin and at the end of each window.
    fn windows(&self, column: &[u64]) -> Option<Vec<[u64; 2]>> {
        self.bounds.windows(2).map(|pair| Some([*column.get(pair[0])?, *column.get(pair[1])?])).collect()
    }

    /// What makes the tasks more, if it is not load, and what to do about it.
    fn cause(&self, site: &Site) -> Option<(Evidence, Advice)> {
        let spawned_at = site.clone();
        match self.multiply() {
            Some(told) => Some((told, Advice::BoundWhatSpawns { spawned_at })),
            None => Some((self.fall_behind()?, Advice::KeepUp { spawned_at })),
        }
    }

    fn multiply(&self) -> Option<Evidence> {
        let (live, own) = (self.windows(&self.tasks.live)?, self.windows(&self.tasks.of_own)?);
        let is_by_own = |([was, is], [own_was, own_is]): (&[u64; 2], &[u64; 2])| {
            own_is.saturating_sub(*own_was) as f64 >= MOST * is.saturating_sub(*was) as f64
        };
        let ([live_was, live_is], [own_was, own_is]) = (*live.first()?, *own.first()?);
        let ([_, live_last], [_, own_last]) = (*live.last()?, *own.last()?);
        // Of the begin counts the first window, as a service begins without any.
        let (own_first, other_first) = (own_was.max(own_is), (live_was - own_was).max(live_is - own_is));
        let times = |first: u64, last: u64| last.max(1) as f64 / first.max(1) as f64;
        let others = times(other_first, live_last - own_last).max(1.0);
        let multiply =
            live.iter().zip(&own).all(is_by_own) && times(own_first, own_last) >= MIN_TIMES * others;
        multiply.then_some(Evidence::SpawnedByOwn { tasks: own_last, of: live_last })
    }

    fn fall_behind(&self) -> Option<Evidence> {
        let (spawned, ended) = (self.windows(&self.tasks.spawned)?, self.windows(&self.tasks.ended)?);
        let more = |[was, is]: &[u64; 2]| is.saturating_sub(*was) as f64;
        let rates = self.bounds.windows(2).zip(&spawned);
        let rates: Vec<f64> =
            rates.map(|(pair, count)| self.trend.per_s(more(count), pair[0], pair[1])).collect();
        let is_same_load = *rates.last()? <= rates.first()? * SAME_LOAD;
        let they_end =
            spawned.iter().zip(&ended).all(|(spawned, ended)| more(ended) >= MIN_ENDED * more(spawned));
        let (half_us, at_least_us) = self.lived()?;
        let falls_behind = is_same_load && they_end && at_least_us > half_us;
        let (half, at_least) = (Micros(half_us), Micros(at_least_us));
        falls_behind.then_some(Evidence::TakeLonger { half, at_least })
    }

    /// Half of those that ended in the first window lived no longer than this, and nearly all of those that ended last lived
    /// for at least that, microseconds.
    fn lived(&self) -> Option<(u64, u64)> {
        let &[first, second, ..] = &self.bounds[..] else { return None };
        let half_us = self.tasks.half_within_us.get(first + 1..=second)?.iter().flatten().max()?;
        Some((*half_us, (*self.tasks.at_least_us.last()?)?))
    }
}
