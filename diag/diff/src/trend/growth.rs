//! Does the memory of a function grow, and does it go on?
//!
//! Growth that goes on is looked for up to the last moment, from the first moment on and from ever later ones: a leak
//! may begin at any time, and what ended is none. From there the time is parted into windows, each of which must have
//! grown. A table that doubles grows in stairs instead, at ever longer intervals, and is asked for those.

use diag_snapshot::Micros;

use super::{HeapTrend, Rates, Trend};
use crate::flow::Flow;
use crate::stats::sign_test;

/// So many steps tell a table that doubles over and over from one that was made larger once or twice.
const MIN_STEPS: usize = 3;

/// Growth slows down if the last window has less than this part of the rate of the first, and none is faster than the one before.
const SLOWING: f64 = 0.75;

/// Beyond so many standard deviations chance does not go: one in 3.5 million.
pub const MIN_DEVIATIONS: f64 = 5.0;

/// The largest p of few samples that are told by the time that they take.
pub const FEW: f64 = 1e-3;

/// What growth has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// In so many windows.
    pub min_windows: usize,
    /// It goes on for so long, microseconds.
    pub min_growth_us: u64,
    /// For so many times as long if it becomes slower from window to window, as what warms up does.
    pub times_if_slowing: u64,
    /// For so many times as long if chance has a part in it of up to [`FEW`] and nothing was ever freed there: time makes up for
    /// samples. None if that is not enough.
    pub times_if_few: Option<u64>,
    /// Each window grew by so many bytes.
    pub min_window_bytes: f64,
    /// It is [`MIN_DEVIATIONS`] away from what blocks do that come as often as they go, or the number of samples rises with
    /// no larger p than this.
    pub significance: f64,
    /// So many samples are new.
    pub min_samples: u64,
}

impl Limits {
    /// Growth by so many bytes in each of so many windows, which last for so long together; as many samples as there are.
    pub fn of_windows(min_windows: u64, min_growth_s: f64, min_window_bytes: u64) -> Self {
        Limits {
            min_windows: min_windows.clamp(1, 1_000) as usize,
            min_growth_us: Micros::from_secs(min_growth_s).0,
            times_if_slowing: 1,
            times_if_few: None,
            min_window_bytes: min_window_bytes as f64,
            significance: 1e-6,
            min_samples: 0,
        }
    }
}

/// How the memory of a function grew, up to the last moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HeapGrowth {
    /// In each window, the last of them not much less than the first.
    Steady(Steady),
    /// By steps of large blocks, as of a table that doubles, with no fall in between.
    Stairs(Stairs),
    /// It grew, and does no longer.
    Ended(Ended),
}

/// Growth in each window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Steady {
    /// From this moment on.
    pub since: usize,
    /// What each window grew by.
    pub windows: Vec<Flow>,
    /// How fast, in bytes.
    pub rates: Rates,
    /// For so long, microseconds.
    pub lasted_us: u64,
    /// For so long it is asked for, microseconds.
    pub least_us: u64,
    /// True if it went on for as long as is asked for.
    pub is_long: bool,
}

impl Steady {
    /// Returns what all windows grew by.
    pub fn bytes(&self) -> f64 {
        self.windows.iter().map(Flow::bytes).sum()
    }
}

/// Growth by steps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stairs {
    /// From this moment on.
    pub since: usize,
    /// How many there were.
    pub steps: usize,
    /// Size before the first.
    pub from_bytes: f64,
    /// Size after the last.
    pub to_bytes: f64,
    /// From the moment before the first of them to the last for so long, microseconds.
    pub lasted_us: u64,
    /// True if it went on for as long as is asked for.
    pub is_long: bool,
}

/// Growth that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// It was as much as this in all.
    pub bytes: f64,
    /// The last window is the time from this moment on.
    pub last_from: usize,
}

impl HeapTrend {
    /// Returns how this grew; none if it did not, or if there are too few moments.
    pub fn growth(&self, trend: &Trend, limits: &Limits) -> Option<HeapGrowth> {
        let steady: Vec<Steady> =
            trend.starts(limits.min_windows).filter_map(|start| self.steady(trend, start, limits)).collect();
        let stairs: Vec<Stairs> =
            trend.starts(limits.min_windows).filter_map(|start| self.stairs(trend, start, limits)).collect();
        let long = steady.iter().find(|growth| growth.is_long).cloned().map(HeapGrowth::Steady);
        let long =
            long.or_else(|| stairs.iter().find(|stairs| stairs.is_long).copied().map(HeapGrowth::Stairs));
        let short = || steady.first().cloned().map(HeapGrowth::Steady);
        let short = || short().or_else(|| stairs.first().copied().map(HeapGrowth::Stairs));
        long.or_else(short).or_else(|| self.ended(trend, limits).map(HeapGrowth::Ended))
    }

    /// For how many times as long growth by so much has to go on: by what the samples stand for, or by how many there are. None
    /// if it may be chance.
    fn times_if_significant(&self, trend: &Trend, flow: &Flow, limits: &Limits) -> Option<u64> {
        let p = sign_test(flow.new.samples, flow.gone.samples);
        // Of many functions some grow by chance.
        let of_all = p * trend.heap.len().max(1) as f64;
        match () {
            () if flow.new.samples < limits.min_samples => None,
            () if flow.deviations() >= MIN_DEVIATIONS || p <= limits.significance => Some(1),
            () if of_all <= FEW && self.none_freed() => limits.times_if_few,
            () => None,
        }
    }

    fn steady(&self, trend: &Trend, since: usize, limits: &Limits) -> Option<Steady> {
        let bounds = trend.windows(since, limits.min_windows)?;
        let last = trend.last()?;
        let flow = self.flow(since, last);
        let times_if_few = self.times_if_significant(trend, &flow, limits)?;
        let windows: Vec<Flow> = bounds.windows(2).map(|pair| self.flow(pair[0], pair[1])).collect();
        // Where nothing was ever freed the whole is significant, and a window of few samples is not asked to be.
        let grew = |flow: &Flow| {
            flow.bytes() >= limits.min_window_bytes
                && (times_if_few > 1 || flow.interval(trend.unseen_bytes).low > 0.0)
        };
        let rates = bounds.windows(2).zip(&windows);
        let rates: Vec<f64> = rates.map(|(pair, flow)| trend.per_s(flow.bytes(), pair[0], pair[1])).collect();
        let lasted_us = trend.between_us(since, last);
        let before = trend.per_s(self.flow(0, since).bytes(), 0, since);
        // The end of what filled up is no beginning of a leak.
        let fastest = rates.iter().copied().fold(before, f64::max);
        let decays = rates.last()? * 2.0 < fastest;
        let times = if is_slowing(&rates) { limits.times_if_slowing } else { 1 };
        let least_us = limits.min_growth_us.saturating_mul(times.max(times_if_few));
        let is_long = lasted_us >= least_us
            && self.exceeds_what_it_was(since)
            && self.comes_all_the_time(&bounds)
            && windows.last().is_some_and(is_no_chance);
        let goes_on = windows.iter().all(grew) && !decays && !self.has_paused(trend, since, &flow);
        let rates = Rates::of(trend.per_s(flow.bytes(), since, last), rates);
        goes_on.then_some(Steady { since, windows, rates, lasted_us, least_us, is_long })
    }

    /// True unless it was about as large before and fell: the next tooth of a saw looks like any growth.
    fn exceeds_what_it_was(&self, since: usize) -> bool {
        let before = self.live_bytes.get(..since).unwrap_or_default();
        let most = before.iter().copied().fold(0.0, f64::max);
        self.live_bytes.last().is_some_and(|&now| now > most * 1.1)
    }

    /// True unless a window of many moments grew between two of them alone: what is started now and then comes so.
    fn comes_all_the_time(&self, bounds: &[usize]) -> bool {
        const MANY: usize = 6;
        let grows = |flow: &&Flow| flow.bytes() > 0.0;
        let mut windows = bounds.windows(2).filter_map(|pair| self.flows.get(pair[0]..pair[1]));
        windows.all(|steps| steps.len() < MANY || steps.iter().filter(grows).count() > 1)
    }

    /// True if the last sixth of the time grew by less than half of its share, and is not likely to have had all of it.
    fn has_paused(&self, trend: &Trend, since: usize, flow: &Flow) -> bool {
        let Some(last) = trend.last() else { return false };
        let total_us = trend.between_us(since, last);
        let Some(from) = (since..last).rfind(|&moment| trend.between_us(moment, last) >= total_us / 6) else {
            return false;
        };
        let share = trend.between_us(from, last) as f64 / total_us.max(1) as f64;
        is_pause(&self.flow(from, last), flow.bytes() * share, trend)
            || self.has_just_stopped(trend, since, flow)
    }

    /// True if it paused between the last two moments, or blocks began to go then, and did not before between any others that lie
    /// about as far apart. A cache that has come to its limit does either; what comes in bursts did so before.
    fn has_just_stopped(&self, trend: &Trend, since: usize, flow: &Flow) -> bool {
        const MIN_STEPS: usize = 4;
        let Some(last) = trend.last().filter(|last| last - since >= MIN_STEPS) else { return false };
        let per_us = flow.bytes() / trend.between_us(since, last).max(1) as f64;
        let stops = |step: usize| {
            let share = per_us * trend.between_us(step, step + 1) as f64;
            self.flows.get(step).is_some_and(|flow| is_pause(flow, share, trend) || is_exchange(flow))
        };
        let is_as_long =
            |step: &usize| trend.between_us(*step, step + 1) >= trend.between_us(last - 1, last) / 2;
        stops(last - 1) && !(since..last - 1).filter(is_as_long).any(stops)
    }

    fn stairs(&self, trend: &Trend, since: usize, limits: &Limits) -> Option<Stairs> {
        let last = trend.last()?;
        let sizes = self.certain_bytes.get(since..=last)?;
        let (&from_bytes, &to_bytes) = (sizes.first()?, sizes.last()?);
        let is_up = |pair: &[f64]| pair[1] > pair[0] * 1.5;
        let falls = sizes.windows(2).any(|pair| pair[1] < pair[0] * 0.8);
        let ups: Vec<usize> =
            (since + 1..).zip(sizes.windows(2)).filter(|(_, pair)| is_up(pair)).map(|(at, _)| at).collect();
        let (&first_up, &last_up) = (ups.first()?, ups.last()?);
        // A step takes as long as all before it: one that came before the last window may have been the last of all, as
        // may what is seen at the first moment of that window, and one since which more time has passed than they took.
        let bounds = trend.windows(since, limits.min_windows)?;
        let &last_window = bounds.iter().rev().nth(1)?;
        let lasted_us = trend.between_us(first_up - 1, last_up);
        let is_over = trend.between_us(last_up, last) > lasted_us + lasted_us / 2;
        let goes_on = last_up >= last_window && !falls && !is_over;
        let grew = to_bytes - from_bytes >= limits.min_window_bytes * 3.0 && to_bytes >= from_bytes * 1.9;
        let is_long = lasted_us >= limits.min_growth_us && ups.len() >= MIN_STEPS && last_up > last_window;
        (ups.len() >= 2 && goes_on && grew).then_some(Stairs {
            since,
            steps: ups.len(),
            from_bytes,
            to_bytes,
            lasted_us,
            is_long,
        })
    }

    /// Growth over all moments of which the last window has hardly any part.
    fn ended(&self, trend: &Trend, limits: &Limits) -> Option<Ended> {
        let bounds = trend.windows(0, limits.min_windows.max(2))?;
        let (&last, before) = bounds.split_last()?;
        let &last_from = before.last()?;
        let all = self.flow(0, last);
        let grew = all.bytes() >= limits.min_window_bytes && all.interval(trend.unseen_bytes).low > 0.0;
        let end = self.flow(last_from, last);
        let windows = before.windows(2).map(|pair| self.flow(pair[0], pair[1]).bytes());
        let largest = windows.fold(0.0, f64::max);
        let went_on = end.interval(trend.unseen_bytes).high >= largest / 2.0 || end.bytes() >= largest / 6.0;
        (grew && !went_on).then_some(Ended { bytes: all.bytes(), last_from })
    }
}

/// True if it is less than half of a share, and is not likely to be all of it.
fn is_pause(flow: &Flow, share: f64, trend: &Trend) -> bool {
    flow.bytes() < share / 2.0 && flow.interval(trend.unseen_bytes).high < share
}

/// True if for two blocks that came one went, or more.
fn is_exchange(flow: &Flow) -> bool {
    const MIN_GONE: u64 = 8;
    flow.gone.samples >= MIN_GONE && flow.gone.samples.saturating_mul(2) >= flow.new.samples
}

/// True if nothing went in that time, or if what came is beyond what chance brings where blocks come and go.
fn is_no_chance(flow: &Flow) -> bool {
    const DEVIATIONS: f64 = 3.0;
    flow.gone.samples == 0 || flow.deviations() >= DEVIATIONS
}

/// True if the rates of one window after the other come down, the last of them well below the first.
fn is_slowing(rates: &[f64]) -> bool {
    let ends = rates.first().zip(rates.last());
    rates.is_sorted_by(|earlier, later| earlier >= later)
        && ends.is_some_and(|(first, last)| *last < first * SLOWING)
}

#[cfg(test)]
mod tests {
    use super::is_slowing;

    #[test]
    fn rates_slow_down_if_none_rises_and_a_quarter_is_lost() {
        assert!(is_slowing(&[8.0, 8.0, 5.9]));
        assert!(!is_slowing(&[8.0, 7.0, 6.0]), "by a quarter and no more");
        assert!(!is_slowing(&[8.0, 5.0, 5.1]), "up again");
        assert!(!is_slowing(&[]));
    }
}
