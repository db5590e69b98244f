//! Does a count rise, and does it go on?
//!
//! What is open for a moment is not what stays: of each moment counts what no later one falls below. What comes and goes
//! by chance rises as well now and then, so a rise has to be large beside that, too: beside the largest fall of
//! the series itself, and beside what a count that fluctuates freely does (its standard deviation is its square root).

use super::{Rates, Trend};

/// The time is parted into so many windows if each then has two moments, so that a rise which paused shows.
const WINDOWS: usize = 6;
/// Each of them has this part of the mean rate at least.
const LEAST_SHARE: f64 = 1.0 / 3.0;
/// A rise is so many times as large as the standard deviation of a count that fluctuates freely.
const MIN_DEVIATIONS: f64 = 5.0;

/// What a rise has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiseLimits {
    /// In so many windows.
    pub min_windows: usize,
    /// It goes on for so long, microseconds.
    pub min_growth_us: u64,
    /// It is so large in all.
    pub min_rise: u64,
    /// It is so many times as large as the largest fall.
    pub min_falls: u64,
    /// Its last window has this part of the rate of the first: less is a rise that comes to an end.
    pub min_last: f64,
}

/// A count that rose in each window up to the last moment, in none of them much slower than in the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Rise {
    /// From this moment on.
    pub since: usize,
    /// What stayed at the ends of the windows: one more than there are windows.
    pub floors: Vec<u64>,
    /// How fast that rose.
    pub rates: Rates,
    /// For so long, microseconds.
    pub lasted_us: u64,
}

impl Rise {
    /// Returns how the values of a series rise, of the longest time in which they do; none if they do not, or if one is not known.
    pub fn of(values: &[Option<u64>], trend: &Trend, limits: &RiseLimits) -> Option<Self> {
        trend.starts(limits.min_windows).find_map(|start| Self::since(start, values, trend, limits))
    }

    /// Returns by how much it rose.
    pub fn rise(&self) -> u64 {
        let ends = self.floors.first().zip(self.floors.last());
        ends.map_or(0, |(first, last)| last.saturating_sub(*first))
    }

    fn since(since: usize, values: &[Option<u64>], trend: &Trend, limits: &RiseLimits) -> Option<Self> {
        let last = trend.last()?;
        let known: Vec<u64> = values.get(since..=last)?.iter().copied().collect::<Option<_>>()?;
        let windows = ((last - since) / 2).min(WINDOWS).max(limits.min_windows);
        let bounds = trend.windows(since, windows)?;
        let lasted_us = trend.between_us(since, last);
        let floor = |moment: usize| known[moment - since..].iter().copied().min().unwrap_or(0);
        let floors: Vec<u64> = bounds.iter().map(|&moment| floor(moment)).collect();
        let rates = bounds
            .windows(2)
            .zip(floors.windows(2))
            .map(|(ends, floors)| trend.per_s(floors[1].saturating_sub(floors[0]) as f64, ends[0], ends[1]));
        let by_window: Vec<f64> = rates.collect();
        let rise = floors.last()?.saturating_sub(*floors.first()?);
        let rates = Rates::of(trend.per_s(rise as f64, since, last), by_window.iter().copied());
        let is_steady = rates.slowest > 0.0
            && rates.slowest >= rates.mean * LEAST_SHARE
            && *by_window.last()? >= by_window.first()? * limits.min_last;
        let rise = Rise { since, floors, rates, lasted_us };
        let is_large = rise.rise() >= limits.min_rise && rise.is_more_than_chance(&known, limits);
        (lasted_us >= limits.min_growth_us && is_large && is_steady).then_some(rise)
    }

    fn is_more_than_chance(&self, values: &[u64], limits: &RiseLimits) -> bool {
        let deviation = (values.last().copied().unwrap_or(0) as f64).sqrt();
        let rise = self.rise();
        rise >= largest_fall(values).saturating_mul(limits.min_falls)
            && rise as f64 >= deviation * MIN_DEVIATIONS
    }
}

/// Returns how far the values fall at the most, from one to any later one.
fn largest_fall(values: &[u64]) -> u64 {
    let mut highest = 0;
    let falls = values.iter().map(|&value| {
        highest = value.max(highest);
        highest - value
    });
    falls.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::Moment;
    use super::*;

    const LIMITS: RiseLimits =
        RiseLimits { min_windows: 3, min_growth_us: 28_000_000, min_rise: 10, min_falls: 2, min_last: 0.0 };

    /// Each value ten seconds after the one before.
    fn rise(values: &[u64]) -> Option<Rise> {
        let moments =
            (0..values.len() as u64).map(|i| Moment { uptime_us: i * 10_000_000, ..Moment::default() });
        let trend = Trend { moments: moments.collect(), ..Trend::default() };
        Rise::of(&values.iter().copied().map(Some).collect::<Vec<_>>(), &trend, &LIMITS)
    }

    fn floors(values: &[u64]) -> Vec<u64> {
        rise(values).map(|rise| rise.floors).unwrap_or_default()
    }

    #[test]
    fn what_stays_has_to_rise_in_each_window() {
        assert_eq!(floors(&[0, 20, 40, 60]), [0, 20, 40, 60]);
        assert_eq!(floors(&[0, 30, 20, 45, 40, 70, 60, 90, 80]), [0, 20, 40, 60, 80]);
        assert_eq!(floors(&[0, 20, 20, 60]), [0; 0]);
        assert_eq!(floors(&[0, 27, 53, 60]), [0, 27, 53, 60], "a third of the mean in the last window");
        assert_eq!(floors(&[0, 27, 54, 60]), [0; 0], "less than that");
        assert_eq!(floors(&[0, 20, 40]), [0; 0], "too few");
        assert_eq!(floors(&[200, 100, 0, 0, 30, 60, 90]), [0, 30, 60, 90], "from later on");
    }

    #[test]
    fn a_rise_is_large_beside_what_chance_does() {
        // 25 is five times the square root of 25, and 40 is less than that of 70.
        assert_eq!(floors(&[0, 9, 17, 25]), [0, 9, 17, 25]);
        assert_eq!(floors(&[0, 8, 16, 24]), [0; 0]);
        assert_eq!(floors(&[30, 43, 56, 70]), [0; 0]);
        // A fall by 30, and a rise by 60 or by 59.
        assert_eq!(floors(&[0, 50, 20, 40, 60]).len(), 4);
        assert_eq!(floors(&[0, 50, 20, 40, 59]), [0; 0]);
    }
}
