//! How a suite behaves: a vector of features for each run, what they usually are over several runs, and which dimension of them
//! changed.
//!
//! A behaviour that changed is seen before it is a leak. Three dimensions are kept apart, so that a slower test is not told as
//! tasks that end later: a feature is of one of them, and one that got worse flags that one alone.

mod document;
mod features;
mod junit;
mod libtest;
mod run;

use std::collections::BTreeMap;

pub use document::{BaselineError, SCHEMA};
pub use features::{Dimension, Feature, Measure};
pub use run::{Run, TestEventsError, TestResult, test_events};

/// The features of one run.
pub type Vector = BTreeMap<Feature, f64>;

/// So many runs at least make a baseline: of fewer, nobody knows how much a feature varies by itself.
pub const LEAST_RUNS: usize = 3;

/// What the features of a suite usually are.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Baseline {
    /// Runs that it was made of.
    pub runs: u64,
    /// Each feature over these runs.
    pub features: BTreeMap<Feature, Usual>,
}

/// A feature over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Usual {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// The median of the distances from the median.
    pub deviation: f64,
}

/// A feature that got worse.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shift {
    /// Which.
    pub feature: Feature,
    /// What it usually is.
    pub usual: Usual,
    /// The middle of what it is now.
    pub now: f64,
    /// The most that it may be.
    pub bound: f64,
}

/// How runs compare with a baseline.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// What got worse, the most first, by dimension.
    pub shifts: BTreeMap<Dimension, Vec<Shift>>,
    /// Features that both have.
    pub compared: u64,
    /// Features that only the runs have: new tests, functions and sites.
    pub new: Vec<Feature>,
    /// Features that only the baseline has.
    pub gone: Vec<Feature>,
}

impl Baseline {
    /// The baseline of these runs.
    pub fn of(runs: &[Vector]) -> Self {
        let features = all_values(runs).into_iter();
        let usual = features.filter_map(|(feature, values)| Some((feature, Usual::of(&values)?)));
        Baseline { runs: runs.len() as u64, features: usual.collect() }
    }

    /// Compares some runs with it. A feature got worse if all runs are beyond all that the baseline has seen, and their middle by
    /// more than the feature varies by itself.
    pub fn compare(&self, runs: &[Vector]) -> Comparison {
        let values = all_values(runs);
        let mut comparison = Comparison {
            gone: self.features.keys().filter(|feature| !values.contains_key(feature)).cloned().collect(),
            ..Comparison::default()
        };
        for (feature, values) in values {
            match self.features.get(&feature) {
                Some(&usual) => {
                    comparison.compared += 1;
                    if let Some(shift) = shift(&feature, usual, &values) {
                        comparison.shifts.entry(feature.dimension).or_default().push(shift);
                    }
                }
                None => comparison.new.push(feature),
            }
        }
        for shifts in comparison.shifts.values_mut() {
            shifts.sort_by(|a, b| b.times().total_cmp(&a.times()));
        }
        comparison
    }
}

/// The values of each feature over the runs. One that a run lacks is 0 there if nothing is the same as none of it.
fn all_values(runs: &[Vector]) -> BTreeMap<Feature, Vec<f64>> {
    let mut values: BTreeMap<Feature, Vec<f64>> = BTreeMap::new();
    for (feature, &value) in runs.iter().flatten() {
        values.entry(feature.clone()).or_default().push(value);
    }
    for (feature, values) in &mut values {
        if feature.measure.is_absence_zero() {
            values.resize(runs.len(), 0.0);
        }
    }
    values
}

fn shift(feature: &Feature, usual: Usual, values: &[f64]) -> Option<Shift> {
    /// Of a normal distribution the median distance is two thirds of the standard deviation, and four of these are beyond chance.
    const DEVIATIONS: f64 = 4.0 * 1.4826;
    let now = Usual::of(values)?;
    let limits = feature.measure.limits();
    let margin =
        [limits.least, limits.share * usual.median, DEVIATIONS * usual.deviation, usual.high - usual.low];
    let bound = usual.median + margin.into_iter().fold(0.0, f64::max);
    let is_worse = now.median > bound && now.low > usual.high;
    is_worse.then(|| Shift { feature: feature.clone(), usual, now: now.median, bound })
}

impl Shift {
    /// How many times what it usually is.
    pub fn times(&self) -> f64 {
        self.now / self.usual.median.max(f64::MIN_POSITIVE)
    }
}

impl Usual {
    /// None without values, or of values that are no numbers.
    fn of(values: &[f64]) -> Option<Self> {
        let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let median = median_of_sorted(&values)?;
        let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        Some(Usual {
            median,
            low: *values.first()?,
            high: *values.last()?,
            deviation: median_of_sorted(&distances)?,
        })
    }
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = if sorted.len().is_multiple_of(2) { *sorted.get(sorted.len() / 2 - 1)? } else { upper };
    Some(lower.midpoint(upper))
}

impl Comparison {
    /// True if a dimension changed.
    pub fn fails(&self) -> bool {
        !self.shifts.is_empty()
    }
}
