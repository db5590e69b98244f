//! Memory of the process's own: the system counts it, where the heap of a slow leak is a dozen samples a minute.

use super::{Rise, RiseLimits, Trend};

/// So many times as long as growth that many samples tell it has to rise: to its size comes sooner what warms up.
const TIMES_AS_LONG: u64 = 2;
/// It rose by so many times as much as it ever fell.
const MIN_FALLS: u64 = 5;
/// Its last window has this part of the rate of the first.
const MIN_LAST: f64 = 0.5;
/// In so many windows, so that chance shows,
const WINDOWS: usize = 6;
/// each of which has this part of its share.
const EVEN: f64 = 0.6;

impl Trend {
    /// Returns how [private memory](diag_analysis::memory_breakdown::MemoryBreakdown::private_bytes) rises up to the last moment
    /// while there is no more to do: evenly, by so many bytes in all, for twice as long as is asked of growth that samples tell.
    pub fn private_rise(&self, min_growth_us: u64, min_rise: u64) -> Option<Rise> {
        let limits = RiseLimits {
            min_windows: WINDOWS,
            min_growth_us: min_growth_us.saturating_mul(TIMES_AS_LONG),
            min_rise,
            min_falls: MIN_FALLS,
            min_last: MIN_LAST,
        };
        let sizes: Vec<Option<u64>> =
            self.moments.iter().map(|moment| Some(moment.memory.as_ref()?.private_bytes())).collect();
        let rise = Rise::of(&sizes, self, &limits).filter(is_even)?;
        // The end of what filled up is no beginning of a leak.
        let (first, begun) = sizes.first()?.zip(*sizes.get(rise.since)?)?;
        let before = self.per_s(begun.saturating_sub(first) as f64, 0, rise.since);
        let was_faster = before > self.per_s(rise.rise() as f64, rise.since, self.last()?);
        (!was_faster && !self.has_more_load_since(rise.since)).then_some(rise)
    }
}

fn is_even(rise: &Rise) -> bool {
    let least = rise.rise() as f64 / WINDOWS as f64 * EVEN;
    rise.floors.windows(2).all(|ends| ends[1].saturating_sub(ends[0]) as f64 >= least)
}
