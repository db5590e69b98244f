//! The statistics behind the findings: is a difference more than chance, and how large is it?
//!
//! Textbook formulas over well-kept distributions; nothing here knows what a task or a heap is.

pub use diag_analysis::weighted_sum::{Interval, WeightedSum};
use statrs::distribution::{Binomial, DiscreteCDF};

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
}
