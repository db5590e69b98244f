//! The statistics behind the findings: is a difference more than chance?
//!
//! Textbook formulas over well-kept distributions; nothing here knows what a task or a heap is.

use statrs::distribution::{Binomial, DiscreteCDF};

/// Chance to see at least `up` rises among `up + down` changes if rises and falls are equally
/// likely: the one-sided exact binomial (sign) test. 1 if nothing changed.
pub fn sign_test(up: u64, down: u64) -> f64 {
    let Some(below) = up.checked_sub(1) else { return 1.0 };
    Binomial::new(0.5, up.saturating_add(down)).map_or(1.0, |fair| fair.sf(below))
}
