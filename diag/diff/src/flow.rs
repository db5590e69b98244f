//! What came and what went of sampled memory in some time.

use crate::stats::{Interval, WeightedSum};

/// A block that is sampled this surely is as good as known.
pub(crate) const CERTAIN: f64 = 0.99;

/// How large a sampled block is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    /// With which it is sampled.
    pub(crate) probability: f64,
}

impl Size {
    /// What it stands for, in bytes.
    pub(crate) fn weight(&self) -> f64 {
        self.bytes as f64 / self.probability
    }

    pub(crate) fn add_to(&self, sum: &mut WeightedSum) {
        sum.add(self.bytes as f64, self.probability);
    }
}

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

    /// A block was so large, or was not there, and is so large now.
    pub(crate) fn change(&mut self, [was, is]: [Option<Size>; 2]) {
        if was == is {
            return;
        }
        was.inspect(|was| was.add_to(&mut self.gone));
        is.inspect(|is| is.add_to(&mut self.new));
        let change = is.map_or(0.0, |is| is.weight()) - was.map_or(0.0, |was| was.weight());
        self.noise += change * change;
    }

    pub(crate) fn add(&mut self, other: &Flow) {
        self.new += other.new;
        self.gone += other.gone;
        self.noise += other.noise;
    }
}
