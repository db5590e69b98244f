//! Medians, and the band of the A/A row.

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

/// How a series of rounds compares with the baseline of the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Compared {
    /// The difference is no larger than three of four rounds of the baseline with itself.
    NotMeasurable,
    /// The medians of what the rounds add to the baseline, and of their ratios to it.
    Added { ns: f64, ratio: f64 },
}

/// How far two series are apart, round by round.
pub(crate) fn distances(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).collect()
}

/// Compares round by round; `again` holds the distances of the baseline from itself. None without
/// rounds.
pub(crate) fn compare(series: &[f64], base: &[f64], again: &[f64]) -> Option<Compared> {
    let ns = median(series.iter().zip(base).map(|(one, base)| one - base))?;
    let ratio = median(series.iter().zip(base).map(|(one, base)| one / base))?;
    let band = third_quartile(again.iter().copied());
    Some(if band.is_some_and(|band| ns.abs() <= band) {
        Compared::NotMeasurable
    } else {
        Compared::Added { ns, ratio }
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
    fn a_difference_inside_the_band_is_not_measurable() {
        let base = [100.0, 102.0, 98.0, 100.0];
        let again = distances(&[103.0, 100.0, 98.5, 97.0], &base);
        assert_eq!(compare(&[102.0, 105.0, 101.0, 103.0], &base, &again), Some(Compared::NotMeasurable));
        let twice = Some(Compared::Added { ns: 100.0, ratio: 2.0 });
        assert_eq!(compare(&[200.0, 204.0, 196.0, 200.0], &base, &again), twice);
        assert_eq!(compare(&[200.0], &[100.0], &[]), twice);
        assert_eq!(compare(&[], &base, &again), None);
    }
}
