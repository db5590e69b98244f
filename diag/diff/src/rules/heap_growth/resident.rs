//! Resident memory as a second witness of a leak that is too slow for its samples.

use super::Params;
use crate::rules::rule::Facts;
use crate::stats::sign_test;
use crate::trend::{HeapTrend, Rise, Trend};

/// The largest p at which the samples of a function speak for it, of all functions together, if none of them ever went,
const MAX_P: f64 = 0.02;
/// if one did for ten that came,
const MAX_P_IF_FEW_FREED: f64 = 0.002;
const FEW_FREED: u64 = 10;
/// and if more did, as a cache at its size has it.
const MAX_P_IF_FREED: f64 = 1e-6;
/// This part of what the whole heap grew by is the function's, and of what resident memory did may be, as far as its samples tell.
const MAIN_SHARE: f64 = 0.5;
/// And this is, at least.
const LEAST_SHARE: f64 = 0.25;

/// Resident memory that rises evenly while there is no more to do.
#[derive(Clone, Debug)]
pub(super) struct ResidentRise<'a> {
    trend: &'a Trend,
    pub(super) rise: Rise,
    /// What the whole heap grew by meanwhile, bytes.
    heap_growth: f64,
}

impl<'a> ResidentRise<'a> {
    pub(super) fn of(facts: &Facts<'a>, params: &Params) -> Option<Self> {
        let (trend, limits) = (facts.trend?, params.limits());
        let min_rise = params.min_window_bytes.saturating_mul(params.min_windows);
        let rise = trend.private_rise(limits.min_growth_us, min_rise)?;
        let heap_growth = trend.heap_flow(rise.since, trend.last()?).bytes();
        Some(ResidentRise { trend, rise, heap_growth })
    }

    /// Returns true if it is for the most part of this function, whose samples say the same in each half of the time.
    pub(super) fn is_of(&self, function: &HeapTrend) -> bool {
        let (since, Some(last)) = (self.rise.since, self.trend.last()) else { return false };
        let Some(bounds) = self.trend.windows(since, 2) else { return false };
        let flow = function.flow(since, last);
        let p = sign_test(flow.new.samples, flow.gone.samples) * self.trend.heap.len().max(1) as f64;
        let grows_in_halves = bounds.windows(2).all(|pair| function.flow(pair[0], pair[1]).bytes() > 0.0);
        let max_p = match flow.gone.samples {
            0 if function.none_freed() => MAX_P,
            gone if gone.saturating_mul(FEW_FREED) <= flow.new.samples => MAX_P_IF_FEW_FREED,
            _ => MAX_P_IF_FREED,
        };
        let rise = self.rise.rise() as f64;
        let at_most = flow.interval(self.trend.unseen_bytes).high;
        p <= max_p
            && grows_in_halves
            && flow.bytes() >= self.heap_growth * MAIN_SHARE
            && flow.bytes() >= rise * LEAST_SHARE
            && at_most >= rise * MAIN_SHARE
    }
}
