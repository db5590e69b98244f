//! How fast something grew.

/// Rates by the second: of all the time, and of the slowest and the fastest part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rates {
    /// Of the slowest part.
    pub slowest: f64,
    /// Of all the time.
    pub mean: f64,
    /// Of the fastest part.
    pub fastest: f64,
}

impl Rates {
    /// Of growth at a rate that differed from part to part.
    pub fn of(mean: f64, parts: impl IntoIterator<Item = f64>) -> Self {
        let rates = Rates { slowest: mean, mean, fastest: mean };
        parts.into_iter().fold(rates, |rates, rate| Rates {
            slowest: rates.slowest.min(rate),
            fastest: rates.fastest.max(rate),
            ..rates
        })
    }
}
