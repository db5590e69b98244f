//! Sums of weighted samples: what each stands for, and, for readers, how uncertain the sum is.

#[cfg(feature = "views")]
mod interval;

use std::ops::AddAssign;

#[cfg(feature = "views")]
pub use interval::Interval;

/// A sum of weighted random samples: what each stands for, and how uncertain the sum is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedSum {
    /// Samples added.
    pub samples: u64,
    /// Sum of the weights: the estimate.
    pub sum: f64,
    /// Estimated variance of the sum.
    pub variance: f64,
    /// Sum of the sizes that were seen: the truth is no less.
    seen: f64,
    /// Estimated third central moment of what was not seen.
    third_moment: f64,
    /// The most that one of the samples stands for beyond itself.
    largest: f64,
}

impl WeightedSum {
    /// Adds something of `size` that was seen with this `probability`: weight s/p (Horvitz and
    /// Thompson 1952), variance s^2 (1-p)/p^2.
    pub fn add(&mut self, size: f64, probability: f64) {
        let weight = size / probability;
        let missed = 1.0 - probability;
        self.samples += 1;
        self.sum += weight;
        self.variance += weight * weight * missed;
        self.seen += size;
        self.third_moment += weight * weight * weight * missed * (1.0 + missed);
        self.largest = self.largest.max(weight * missed);
    }

    /// True if it is known at least as well as the number of so many events: as many samples of equal and
    /// small probability, or fewer that were almost sure to be taken.
    pub fn is_worth(&self, samples: u64) -> bool {
        self.samples > 0 && self.sum * self.sum >= samples as f64 * self.variance
    }

    /// The most that one of the samples stands for beyond itself; none without samples.
    pub fn largest(&self) -> Option<f64> {
        (self.samples > 0).then_some(self.largest)
    }
}

impl AddAssign for WeightedSum {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.sum += other.sum;
        self.variance += other.variance;
        self.seen += other.seen;
        self.third_moment += other.third_moment;
        self.largest = self.largest.max(other.largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_worth_its_samples_or_more() {
        let of = |samples: u64, size: f64, probability: f64| {
            let mut sum = WeightedSum::default();
            (0..samples).for_each(|_| sum.add(size, probability));
            sum
        };
        assert!(of(10, 1e-9, 1e-9).is_worth(10) && !of(9, 1e-9, 1e-9).is_worth(10));
        assert!(of(1, 1e9, 1.0).is_worth(10), "a block that is always sampled is known exactly");
        assert!(!WeightedSum::default().is_worth(0));
    }
}
