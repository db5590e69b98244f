//! How many blocks one sampled block stands for.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

/// `1 / p`, `p` being the chance that a block of some size is sampled: at least 1. With seven digits, so that a
/// record has room for it; whoever counts a block twice rounds it alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight(f32);

impl Weight {
    /// `1 / (1 - exp(-bytes / rate))`, and 1 if every block is recorded.
    pub(super) fn of(bytes: u64, rate_bytes: u64) -> Self {
        if rate_bytes == 0 {
            return Weight(1.0);
        }
        Weight((1.0 / one_less_exp(bytes.max(1) as f64 / rate_bytes as f64)) as f32)
    }

    /// For a record's word.
    pub(super) fn to_bits(self) -> u32 {
        self.0.to_bits()
    }

    /// From a record's word.
    pub(super) fn from_bits(bits: u32) -> Self {
        Weight(f32::from_bits(bits))
    }

    /// So many times `count`, rounded; exact if every block is recorded.
    pub(super) fn times(self, count: u64) -> u64 {
        if self.0 == 1.0 { count } else { (count as f64 * f64::from(self.0) + 0.5) as u64 }
    }
}

/// `1 - exp(-x)` for `x >= 0` to ten digits, small results too.
///
/// Written out, because the hook must not depend on what a libm does behind its back: with
/// `f(x) = 1 - exp(-x)` is `f(2x) = f(x) (2 - f(x))`, and a short series does for x up to 1/4.
fn one_less_exp(x: f64) -> f64 {
    const CERTAIN: f64 = 40.0;
    /// `-1/n!` with the sign of its term, for x - x^2/2! + x^3/3! - ..., the last first.
    const TERMS: [f64; 8] = {
        let mut terms = [0.0; 8];
        let (mut n, mut term) = (0, 1.0);
        while n < 8 {
            term /= -((n + 1) as f64);
            terms[7 - n] = -term;
            n += 1;
        }
        terms
    };
    if x >= CERTAIN {
        return 1.0;
    }
    // Halved to below 1/4 by its exponent, of which 1023 stands for [1, 2).
    let exponent = (x.to_bits() >> 52) as i64 - 1023;
    let doublings = (exponent + 3).max(0);
    let part = x * f64::from_bits(((1023 - doublings) as u64) << 52);
    let series = TERMS.iter().fold(0.0, |sum, term| sum * part + term) * part;
    (0..doublings).fold(series, |f, _| f * (2.0 - f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_agrees_with_the_standard_one() {
        let mut x = 1e-9_f64;
        while x < 60.0 {
            let expected = -(-x).exp_m1();
            assert!((one_less_exp(x) / expected - 1.0).abs() < 1e-10, "1 - exp(-{x})");
            x *= 1.07;
        }
    }

    #[test]
    fn a_block_of_the_rate_stands_for_one_and_a_half() {
        let weight = Weight::of(524_288, 524_288);
        assert_eq!(weight.times(1_000_000), 1_581_977, "1 / (1 - 1/e)");
        assert_eq!(Weight::from_bits(weight.to_bits()), weight);
        assert_eq!(Weight::of(u64::MAX, 1).times(u64::MAX), u64::MAX);
        assert_eq!(Weight::of(7, 0).times(7), 7);
    }
}
