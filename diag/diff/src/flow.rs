//! What came and what went of sampled memory in some time.

use crate::stats::{Interval, WeightedSum};

/// A block that is sampled this surely is as good as known.
pub(crate) const CERTAIN: f64 = 0.99;

/// What came and what went in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Flow {
    /// Live at the end and not at the start.
    pub new: WeightedSum,
    /// Live at the start and not at the end.
    pub gone: WeightedSum,
    /// Variance of the difference if every block came and went by itself: the sum of the squares of what the samples
    /// stand for.
    pub noise: f64,
}

impl Flow {
    /// Returns how many bytes more there are.
    pub fn bytes(&self) -> f64 {
        self.new.sum - self.gone.sum
    }

    /// Returns the 95 % interval of [`bytes`](Flow::bytes).
    pub fn interval(&self, unseen_bytes: f64) -> Interval {
        self.new.interval_of_difference(&self.gone, unseen_bytes)
    }

    /// Returns how many standard deviations the growth is away from what blocks do that come as often as they go.
    pub fn deviations(&self) -> f64 {
        if self.noise > 0.0 { self.bytes() / self.noise.sqrt() } else { 0.0 }
    }

    pub(crate) fn add(&mut self, other: &Flow) {
        self.new += other.new;
        self.gone += other.gone;
        self.noise += other.noise;
    }
}
