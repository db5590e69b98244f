//! Medians, means, and the band of the A/A row.

/// The middle value, or the mean of the two in the middle; none of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// Three of four values are at most this.
pub(crate) fn third_quartile(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let sorted = sorted(values);
    sorted.get((sorted.len() * 3).div_ceil(4).saturating_sub(1)).copied()
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// A mean, and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    /// Half of the 95 % interval, by the normal distribution: there are dozens of values.
    pub(crate) error: f64,
}

/// The mean of at least two values.
pub(crate) fn mean(values: &[f64]) -> Option<Estimate> {
    let count = values.len() as f64;
    let value = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|one| (one - value).powi(2)).sum::<f64>() / (count - 1.0);
    (values.len() >= 2).then(|| Estimate { value, error: 1.96 * (variance / count).sqrt() })
}

/// How a series of rounds compares with the baseline of the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compared {
    /// The median of what a round adds to the baseline, in its unit.
    pub(crate) added: f64,
    /// The median of a round's ratio to the baseline.
    pub(crate) ratio: f64,
    /// Three of four rounds of the baseline are no further from itself than this share of it; none
    /// if it was not taken twice.
    pub(crate) band: Option<f64>,
}

impl Compared {
    /// Whether the difference is larger than that of the baseline with itself.
    pub(crate) fn is_measurable(&self) -> bool {
        self.band.is_none_or(|band| (self.ratio - 1.0).abs() > band)
    }
}

/// How far two series are apart, round by round, as a share of the second.
pub(crate) fn distances(one: &[f64], base: &[f64]) -> Vec<f64> {
    one.iter().zip(base).map(|(one, base)| (one / base - 1.0).abs()).collect()
}

/// Compares round by round; `again` holds the distances of the baseline from itself. None without
/// rounds.
pub(crate) fn compare(series: &[f64], base: &[f64], again: &[f64]) -> Option<Compared> {
    Some(Compared {
        added: median(series.iter().zip(base).map(|(one, base)| one - base))?,
        ratio: median(series.iter().zip(base).map(|(one, base)| one / base))?,
        band: third_quartile(again.iter().copied()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn three_of_four_are_below_the_third_quartile() {
        assert_eq!(third_quartile([4.0, 1.0, 3.0, 2.0]), Some(3.0));
        assert_eq!(third_quartile([7.0]), Some(7.0));
        assert_eq!(third_quartile([]), None);
    }

    #[test]
    fn a_mean_is_as_exact_as_its_values_agree() {
        assert_eq!(mean(&[2.0, 2.0, 2.0]), Some(Estimate { value: 2.0, error: 0.0 }));
        // The standard error of 1 and 3 is 1.
        assert_eq!(mean(&[1.0, 3.0]), Some(Estimate { value: 2.0, error: 1.96 }));
        assert_eq!(mean(&[1.0]), None);
    }

    #[test]
    fn a_difference_inside_the_band_is_not_measurable() {
        let base = [100.0, 200.0, 100.0, 100.0];
        let again = distances(&[103.0, 200.0, 98.0, 97.0], &base);
        let check = |series: &[f64], again: &[f64], added, ratio, measurable| {
            let compared = compare(series, &base, again).expect("there are rounds");
            assert_eq!((compared.added, compared.ratio), (added, ratio));
            assert_eq!(compared.is_measurable(), measurable);
        };
        check(&[102.0, 204.0, 102.0, 102.0], &again, 2.0, 1.02, false);
        check(&[200.0, 400.0, 200.0, 200.0], &again, 100.0, 2.0, true);
        check(&[102.0], &[], 2.0, 1.02, true);
        assert_eq!(compare(&[], &base, &again), None);
    }
}
