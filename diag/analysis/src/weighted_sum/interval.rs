//! How uncertain a sum of samples is.

use std::f64::consts::{PI, SQRT_2};

use statrs::distribution::{Continuous, ContinuousCDF, Gamma};
use statrs::function::erf::erfc;

use super::WeightedSum;

/// Limits of a value, 2.5 % chance of being beyond either.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

impl WeightedSum {
    /// The 95 % interval of the sum. `unseen` is the most that one more sample could stand for: the
    /// mean distance between samples where sizes are bytes, since things of any size may be there that were
    /// not seen; 0 if everything is.
    ///
    /// What was seen is certain, so the interval is that of the rest. Of things of size s that are seen with
    /// probability p, k seen ones tell that the number of unseen ones is negative binomial: between k and k+1
    /// successes, by the argument of Clopper and Pearson (1934), and halfway in the mid-P interval (Lancaster
    /// 1961), which is right 95 times in 100 on average and not at least. For a sum over all sizes, as for a
    /// weighted sum of Poisson counts (Fay and Feuer 1997; mid-P: Fay and Kim 2017), a gamma distribution
    /// takes the place of the exact one, here shifted, with the first three moments of the sum. Each seen
    /// thing adds s(1-p)/p, s^2(1-p)/p^2 and s^3(1-p)(2-p)/p^3; the one that is halfway there adds the most
    /// that anything can, which is what the smallest things do: an exponential distribution with mean `unseen`.
    pub fn interval(&self, unseen: f64) -> Interval {
        let rest = Rest::new(self, unseen);
        Interval { low: self.seen + rest.quantile(0.025), high: self.seen + rest.quantile(0.975) }
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

/// What may be there besides what was seen: an even mixture of the distribution with the moments of
/// the samples and the one with those of one more.
struct Rest {
    fewer: ShiftedGamma,
    more: ShiftedGamma,
}

impl Rest {
    fn new(sum: &WeightedSum, unseen: f64) -> Self {
        let (mean, variance) = (sum.sum - sum.seen, sum.variance);
        Rest {
            fewer: ShiftedGamma::new(mean, variance, sum.third_moment),
            more: ShiftedGamma::new(
                mean + unseen,
                variance + unseen.powi(2),
                sum.third_moment + 2.0 * unseen.powi(3),
            ),
        }
    }

    /// By Newton's method, and by halves where that leads astray; at least 0.
    fn quantile(&self, probability: f64) -> f64 {
        const STEPS: usize = 60;
        const PRECISION: f64 = 1e-9;
        let below = |x: f64| (self.fewer.below(x) + self.more.below(x)) / 2.0 - probability;
        // Cantelli's inequality: one value in 40 is more than 6.25 standard deviations above the mean.
        let (mut low, mut high) = (0.0, self.more.mean + 6.25 * self.more.deviation);
        if high <= low || below(low) >= 0.0 {
            return low;
        }
        let mut x = (self.fewer.normal_quantile(probability) + self.more.normal_quantile(probability)) / 2.0;
        for _ in 0..STEPS {
            if !(low < x && x < high) {
                x = low.midpoint(high);
            }
            let error = below(x);
            *(if error < 0.0 { &mut low } else { &mut high }) = x;
            let step = error / ((self.fewer.density(x) + self.more.density(x)) / 2.0);
            if step.abs() <= PRECISION * high || high - low <= PRECISION * high {
                break;
            }
            x -= step;
        }
        x
    }
}

/// A gamma distribution with these first three moments: Pearson's type III.
struct ShiftedGamma {
    mean: f64,
    deviation: f64,
    /// How far it is shifted, and its shape and rate; none if it is too near to a normal one, which it is to three
    /// digits, or without variance.
    gamma: Option<(f64, Gamma)>,
}

impl ShiftedGamma {
    fn new(mean: f64, variance: f64, third_moment: f64) -> Self {
        const NORMAL_FROM_SHAPE: f64 = 10_000.0;
        let deviation = variance.max(0.0).sqrt();
        let (scale, shape) = (third_moment / (2.0 * variance), 4.0 * variance.powi(3) / third_moment.powi(2));
        let gamma = (deviation > 0.0 && shape < NORMAL_FROM_SHAPE)
            .then(|| Some((mean - shape * scale, Gamma::new(shape, 1.0 / scale).ok()?)));
        ShiftedGamma { mean, deviation, gamma: gamma.flatten() }
    }

    /// The chance of a value up to `x`.
    fn below(&self, x: f64) -> f64 {
        match &self.gamma {
            Some((shift, gamma)) => gamma.cdf((x - shift).max(0.0)),
            None if self.deviation > 0.0 => 0.5 * erfc((self.mean - x) / (self.deviation * SQRT_2)),
            None => f64::from(u8::from(x >= self.mean)),
        }
    }

    fn density(&self, x: f64) -> f64 {
        match &self.gamma {
            Some((shift, gamma)) => gamma.pdf((x - shift).max(0.0)),
            None if self.deviation > 0.0 => {
                let z = (x - self.mean) / self.deviation;
                (-z * z / 2.0).exp() / (self.deviation * (2.0 * PI).sqrt())
            }
            None => 0.0,
        }
    }

    /// Of a normal distribution, to begin with: 2.5 % or 97.5 %.
    fn normal_quantile(&self, probability: f64) -> f64 {
        self.mean + 1.96_f64.copysign(probability - 0.5) * self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{Binomial, DiscreteCDF};

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= expected.abs() * 1e-3 + 1e-9, "{actual} is not {expected}");
    }

    /// The chance of at least `count` events where `mean` are expected.
    fn poisson_at_least(count: u64, mean: f64) -> f64 {
        let mut term = (-mean).exp();
        let mut less = 0.0;
        for i in 0..count {
            less += term;
            term *= mean / (i + 1) as f64;
        }
        1.0 - less
    }

    /// Equal weights of small probability are a Poisson count.
    #[test]
    fn few_samples_have_the_mid_p_interval_of_a_count() {
        for samples in [0, 1, 2, 3, 5, 8, 13, 20, 50] {
            let mut sum = WeightedSum::default();
            (0..samples).for_each(|_| sum.add(1e-9, 1e-9));
            let Interval { low, high } = sum.interval(1.0);
            let so_many_or_more =
                |mean| (poisson_at_least(samples, mean) + poisson_at_least(samples + 1, mean)) / 2.0;
            near(so_many_or_more(high), 0.975);
            if samples == 0 {
                assert_eq!(low, 0.0);
            } else {
                near(so_many_or_more(low), 0.025);
            }
        }
    }

    /// Of blocks that are seen with probability p, the interval that the binomial distribution gives.
    #[test]
    fn blocks_of_one_size_have_the_mid_p_interval_of_their_number() {
        /// Chances of at most, and of less than, `seen` of `blocks`.
        fn binomial(seen: u64, blocks: u64, p: f64) -> (f64, f64) {
            let binomial = Binomial::new(p, blocks).unwrap();
            (binomial.cdf(seen), seen.checked_sub(1).map_or(0.0, |less| binomial.cdf(less)))
        }
        const RATE: f64 = 1000.0;
        for (seen, size) in [(3, 100.0), (8, 300.0), (20, 700.0), (20, 1500.0), (60, 1000.0), (300, 2500.0)] {
            let p = -(-size / RATE).exp_m1();
            let mut sum = WeightedSum::default();
            (0..seen).for_each(|_| sum.add(size, p));
            let Interval { low, high } = sum.interval(RATE);
            let mid_p = |blocks| {
                let (most, less) = binomial(seen, blocks, p);
                (most + less) / 2.0
            };
            let lowest = (seen..).find(|&blocks| mid_p(blocks) <= 0.975).unwrap() as f64;
            let highest = (seen..).take_while(|&blocks| mid_p(blocks) >= 0.025).last().unwrap() as f64;
            // One block at either end, and what one more of the smallest could add.
            assert!((low / size - lowest).abs() < 1.2, "{seen} of {size}: from {} or {lowest}", low / size);
            let most = highest + RATE / size + 1.2;
            assert!(
                (highest - 1.2..most).contains(&(high / size)),
                "{seen} of {size}: to {} or {highest}",
                high / size
            );
        }
    }

    #[test]
    fn what_is_seen_is_certain_and_the_rest_is_not() {
        let mut large = WeightedSum::default();
        (0..3).for_each(|_| large.add(100.0, 1.0));
        assert_eq!(large.interval(0.0), Interval { low: 300.0, high: 300.0 }, "everything is seen");
        let Interval { low, high } = large.interval(1.0);
        assert_eq!(low, 300.0);
        near(high, 300.0 + 2.996);
        // Small ones beside them are as uncertain as they are alone.
        for samples in [1, 4, 30] {
            let mut small = WeightedSum::default();
            (0..samples).for_each(|_| small.add(1e-6, 1e-6));
            let (alone, mut both) = (small.interval(1.0), small);
            both += large;
            near(both.interval(1.0).low - 300.0, alone.low);
            near(both.interval(1.0).high - 300.0, alone.high);
        }
    }

    #[test]
    fn a_limit_moves_little_where_a_gamma_becomes_a_normal_distribution() {
        let of = |samples: u64| {
            let mut sum = WeightedSum::default();
            (0..samples).for_each(|_| sum.add(1e-9, 1e-9));
            let Interval { low, high } = sum.interval(1.0);
            [low, high].map(|limit| (limit - samples as f64) / (samples as f64).sqrt())
        };
        let ([low, high], [next_low, next_high]) = (of(9_990), of(10_010));
        assert!((low - next_low).abs() < 0.02 && (high - next_high).abs() < 0.02);
    }

    #[test]
    fn a_swapped_difference_is_negated() {
        let (mut new, mut gone) = (WeightedSum::default(), WeightedSum::default());
        (0..7).for_each(|_| new.add(100.0, 0.1));
        (0..3).for_each(|_| gone.add(200.0, 0.2));
        let (there, back) = (new.interval_of_difference(&gone, 1.0), gone.interval_of_difference(&new, 1.0));
        assert_eq!((there.low, there.high), (-back.high, -back.low));
    }

    const RATE: f64 = 524_288.0;

    struct Dice(u64);

    impl Dice {
        fn uniform(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        /// What the heap sampler keeps of these blocks.
        fn sample(&mut self, sizes: impl IntoIterator<Item = f64>) -> WeightedSum {
            let mut sum = WeightedSum::default();
            for size in sizes {
                let probability = -(-size / RATE).exp_m1();
                if self.uniform() < probability {
                    sum.add(size, probability);
                }
            }
            sum
        }
    }

    /// Shares of the rounds in which the truth lay below the interval and above it.
    fn misses(rounds: u32, mut round: impl FnMut() -> (f64, Interval)) -> (f64, f64) {
        let (mut below, mut above) = (0, 0);
        for _ in 0..rounds {
            let (truth, interval) = round();
            below += u32::from(truth < interval.low * (1.0 - 1e-12));
            above += u32::from(truth > interval.high * (1.0 + 1e-12));
        }
        (f64::from(below) / f64::from(rounds), f64::from(above) / f64::from(rounds))
    }

    fn repeated(count: u64, size: f64) -> impl Iterator<Item = f64> {
        (0..count).map(move |_| size)
    }

    /// Large blocks, which are always seen, beside small ones that hardly ever are. Two thousand rounds know a
    /// coverage of 95 % to within 1 %.
    #[test]
    fn intervals_of_mixed_sizes_miss_on_either_side() {
        let mut dice = Dice(0x0BAD_5EED_0BAD_5EED);
        for (large, small) in [(1, 800), (10, 800), (100, 800), (3, 2_400), (40, 2_400)] {
            let sizes = || repeated(large, 8e6).chain(repeated(small, 20_000.0));
            let truth: f64 = sizes().sum();
            let (below, above) = misses(2000, || (truth, dice.sample(sizes()).interval(RATE)));
            assert!(
                (0.93..=0.97).contains(&(1.0 - below - above)) && below > 0.01 && above > 0.01,
                "{large} large blocks and {small} small ones: {below} below, {above} above"
            );
        }
        // Of three samples in the mean, one round in twenty shows none: the interval is wide.
        let sizes = || repeated(20, 8e6).chain(repeated(75, 20_000.0));
        let truth: f64 = sizes().sum();
        let (below, above) = misses(2000, || (truth, dice.sample(sizes()).interval(RATE)));
        assert!(below + above <= 0.07, "{below} below, {above} above");
    }

    /// Sizes over three powers of ten, as services have them.
    #[test]
    fn intervals_of_many_sizes_miss_on_either_side() {
        let mut dice = Dice(0x1BAD_5EED_1BAD_5EED);
        for blocks in [150_u64, 1_000] {
            let sizes: Vec<f64> =
                (0..blocks).map(|i| 4_000.0 * 1000_f64.powf(i as f64 / blocks as f64)).collect();
            let truth: f64 = sizes.iter().sum();
            let (below, above) = misses(2000, || (truth, dice.sample(sizes.iter().copied()).interval(RATE)));
            assert!(
                (0.93..=0.97).contains(&(1.0 - below - above)) && below > 0.01 && above > 0.01,
                "{blocks} blocks: {below} below, {above} above"
            );
        }
    }

    #[test]
    fn intervals_of_growth_hold_the_truth_as_often_as_they_say() {
        let mut dice = Dice(0x1234_5678_9ABC_DEF1);
        let mut coverage = |blocks: u64, size: f64, freed: u64| {
            let truth = (blocks as f64 - freed as f64) * size;
            let (below, above) = misses(2000, || {
                let (new, gone) = (dice.sample(repeated(blocks, size)), dice.sample(repeated(freed, size)));
                (truth, new.interval_of_difference(&gone, RATE))
            });
            1.0 - below - above
        };
        for (blocks, size, freed) in [(24, 65_536.0, 0), (48, 65_536.0, 16), (6, 262_144.0, 0), (5, 1e6, 2)] {
            let few = coverage(blocks, size, freed);
            assert!(few >= 0.935, "{blocks} blocks of {size} bytes, {freed} freed: {few}");
        }
        for (blocks, size, freed) in
            [(240, 65_536.0, 0), (400, 65_536.0, 400), (100, 262_144.0, 20), (600, 65_536.0, 100)]
        {
            let many = coverage(blocks, size, freed);
            assert!((0.935..=0.97).contains(&many), "{blocks} blocks of {size} bytes, {freed} freed: {many}");
        }
    }
}
