//! The statistics behind the findings: is a difference more than chance, and how large is it?
//!
//! Textbook formulas over well-kept distributions; nothing here knows what a task or a heap is.

use std::ops::AddAssign;

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Gamma};

/// Chance to see at least `up` rises among `up + down` changes if rises and falls are equally
/// likely: the one-sided exact binomial (sign) test. 1 if nothing changed.
pub fn sign_test(up: u64, down: u64) -> f64 {
    let Some(below) = up.checked_sub(1) else { return 1.0 };
    Binomial::new(0.5, up.saturating_add(down)).map_or(1.0, |fair| fair.sf(below))
}

/// Adjusts p-values for having asked so many questions, in their order: at most the share `q` of
/// the answers with an adjusted value up to `q` are chance (Benjamini and Hochberg 1995).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[b].total_cmp(&p_values[a]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (i, &place) in order.iter().enumerate() {
        let rank = p_values.len() - i;
        least = least.min(p_values[place] * p_values.len() as f64 / rank as f64);
        adjusted[place] = least;
    }
    adjusted
}

/// A sum of weighted random samples: what each stands for, and how uncertain the sum is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedSum {
    /// Samples added.
    pub samples: u64,
    /// Sum of the weights: the estimate.
    pub sum: f64,
    /// Estimated variance of the sum.
    pub variance: f64,
    /// The most that one more sample would add beyond its own share, for the upper limit.
    one_more: f64,
}

/// Limits of a value, 2.5 % chance of being beyond either.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

impl WeightedSum {
    /// Adds something of `size` that was seen with this `probability`: weight s/p (Horvitz and
    /// Thompson), variance s^2 (1-p)/p^2.
    pub fn add(&mut self, size: f64, probability: f64) {
        let weight = size / probability;
        self.samples += 1;
        self.sum += weight;
        self.variance += weight * weight * (1.0 - probability);
        self.one_more = self.one_more.max(weight * (1.0 - probability));
    }

    /// True if it is known at least as well as the number of so many events: as many samples of equal and
    /// small probability, or fewer that were almost sure to be taken.
    pub fn is_worth(&self, samples: u64) -> bool {
        self.samples > 0 && self.sum * self.sum >= samples as f64 * self.variance
    }

    /// The 95 % interval of the sum, honest for a single sample too: quantiles of a gamma
    /// distribution with the mean and variance of the sum (Fay and Feuer 1997), which is the exact
    /// Poisson interval (Garwood 1936) if all weights are equal and probabilities small. `unseen`
    /// is the weight of a sample where none was seen.
    pub fn interval(&self, unseen: f64) -> Interval {
        let one_more = if self.samples == 0 { unseen } else { self.one_more };
        let high_variance = self.variance + one_more * one_more;
        Interval {
            low: gamma_quantile(self.sum, self.variance, 0.025),
            high: gamma_quantile(self.sum + one_more, high_variance, 0.975),
        }
    }

    /// The 95 % interval of the difference between this sum and an independent one, from the
    /// intervals of both (Zou and Donner 2008).
    pub fn interval_of_difference(&self, other: &WeightedSum, unseen: f64) -> Interval {
        let (mine, theirs) = (self.interval(unseen), other.interval(unseen));
        let difference = self.sum - other.sum;
        Interval {
            low: difference - (self.sum - mine.low).hypot(theirs.high - other.sum),
            high: difference + (mine.high - self.sum).hypot(other.sum - theirs.low),
        }
    }
}

impl AddAssign for WeightedSum {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.sum += other.sum;
        self.variance += other.variance;
        self.one_more = self.one_more.max(other.one_more);
    }
}

/// Without variance the mean is exact. Beyond some ten thousand samples a gamma distribution is a
/// normal one to three digits, and its quantiles are slow to find.
fn gamma_quantile(mean: f64, variance: f64, probability: f64) -> f64 {
    const NORMAL_FROM_SHAPE: f64 = 10_000.0;
    const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;
    let shape = mean * mean / variance;
    if variance <= 0.0 || mean <= 0.0 {
        return mean;
    }
    // An exponential distribution: of every sum without a sample.
    if shape == 1.0 {
        return -mean * (-probability).ln_1p();
    }
    if shape > NORMAL_FROM_SHAPE {
        return mean + NORMAL_QUANTILE.copysign(probability - 0.5) * variance.sqrt();
    }
    Gamma::new(shape, mean / variance).map_or(mean, |gamma| gamma.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= expected.abs() * 1e-3 + 1e-9, "{actual} is not {expected}");
    }

    #[test]
    fn the_sign_test_counts_coin_throws() {
        near(sign_test(0, 0), 1.0);
        near(sign_test(0, 9), 1.0);
        near(sign_test(1, 0), 0.5);
        near(sign_test(10, 0), 1.0 / 1024.0);
        near(sign_test(9, 1), 11.0 / 1024.0);
    }

    #[test]
    fn adjusted_p_values_follow_the_paper() {
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]);
        for (actual, expected) in adjusted.iter().zip([0.02, 0.04, 0.04, 0.02]) {
            near(*actual, expected);
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    /// Equal weights of small probability are a Poisson count: Garwood's table.
    #[test]
    fn few_samples_have_the_exact_poisson_interval() {
        for (samples, low, high) in
            [(0, 0.0, 3.689), (1, 0.02532, 5.572), (5, 1.623, 11.668), (20, 12.217, 30.889)]
        {
            let mut sum = WeightedSum::default();
            (0..samples).for_each(|_| sum.add(1e-9, 1e-9));
            let interval = sum.interval(1.0);
            near(interval.low, low);
            near(interval.high, high);
        }
    }

    #[test]
    fn what_is_always_seen_is_exact() {
        let mut sum = WeightedSum::default();
        (0..3).for_each(|_| sum.add(100.0, 1.0));
        assert_eq!(sum.interval(1.0), Interval { low: 300.0, high: 300.0 });
    }

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

    #[test]
    fn a_swapped_difference_is_negated() {
        let (mut new, mut gone) = (WeightedSum::default(), WeightedSum::default());
        (0..7).for_each(|_| new.add(100.0, 0.1));
        (0..3).for_each(|_| gone.add(200.0, 0.2));
        let (there, back) = (new.interval_of_difference(&gone, 1.0), gone.interval_of_difference(&new, 1.0));
        assert_eq!((there.low, there.high), (-back.high, -back.low));
    }

    /// Samples blocks as the heap sampler does and counts how often the interval holds the truth.
    fn coverage(blocks: u64, size: f64, freed: u64, rounds: u32) -> f64 {
        const RATE: f64 = 524_288.0;
        let probability = -(-size / RATE).exp_m1();
        let mut seed = 0x1234_5678_9ABC_DEF1_u64;
        let mut uniform = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut sampled = |count: u64| {
            let mut sum = WeightedSum::default();
            (0..count).filter(|_| uniform() < probability).for_each(|_| sum.add(size, probability));
            sum
        };
        let truth = (blocks as f64 - freed as f64) * size;
        let mut right = 0;
        for _ in 0..rounds {
            let (new, gone) = (sampled(blocks), sampled(freed));
            let interval = new.interval_of_difference(&gone, RATE);
            right += u32::from((interval.low..=interval.high).contains(&truth));
        }
        f64::from(right) / f64::from(rounds)
    }

    /// Two thousand rounds know a coverage of 95 % to within 1 %.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        for (blocks, size, freed) in [(24, 65_536.0, 0), (48, 65_536.0, 16), (6, 262_144.0, 0), (5, 1e6, 2)] {
            let few = coverage(blocks, size, freed, 2000);
            assert!(few >= 0.95, "{blocks} blocks of {size} bytes, {freed} freed: {few}");
        }
        for (blocks, size, freed) in
            [(240, 65_536.0, 0), (400, 65_536.0, 400), (100, 262_144.0, 20), (600, 65_536.0, 100)]
        {
            let many = coverage(blocks, size, freed, 2000);
            assert!((0.935..=0.97).contains(&many), "{blocks} blocks of {size} bytes, {freed} freed: {many}");
        }
    }
}
