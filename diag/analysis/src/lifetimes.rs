//! How long things lasted, by powers of two of milliseconds: what is known of a time is its bucket.

use std::collections::BTreeMap;

use diag_snapshot::Micros;

/// How many lasted for a time in `[2^b, 2^(b+1))` milliseconds, by `b`; 0 holds all that is shorter, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes(BTreeMap<u32, u64>);

impl Lifetimes {
    /// Counts so many into a bucket.
    pub fn add(&mut self, bucket: u32, count: u64) {
        let sum = self.0.entry(bucket).or_default();
        *sum = sum.saturating_add(count);
    }

    /// Takes the larger count of every bucket.
    pub fn raise(&mut self, other: &Lifetimes) {
        for (&bucket, &count) in &other.0 {
            let most = self.0.entry(bucket).or_default();
            *most = count.max(*most);
        }
    }

    /// Returns what came to these since `earlier`, which are of the same process.
    pub fn since(&self, earlier: &Lifetimes) -> Lifetimes {
        let grown = |(&bucket, &count): (&u32, &u64)| {
            let more = count.saturating_sub(earlier.0.get(&bucket).copied().unwrap_or(0));
            (more > 0).then_some((bucket, more))
        };
        Lifetimes(self.0.iter().filter_map(grown).collect())
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0u64, |sum, &count| sum.saturating_add(count))
    }

    /// How many lasted so long at least: those whose bucket lies above, so never too many.
    pub fn count_from(&self, least: Micros) -> u64 {
        self.from(least).fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// How long those that lasted so long at least lasted together, by the lower edges of their buckets.
    pub fn sum_from(&self, least: Micros) -> Micros {
        self.from(least).map(|(edge, count)| Micros(edge.0.saturating_mul(count))).sum()
    }

    /// The lower edges of the buckets that lie above, and how many are in each.
    fn from(&self, least: Micros) -> impl Iterator<Item = (Micros, u64)> {
        let edges = self.0.iter().map(|(&bucket, &count)| (lower_edge(bucket), count));
        edges.filter(move |(edge, _)| *edge >= least)
    }

    /// How many lasted for less than each time, and half of it or more: the upper edges of the buckets, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (Micros, u64)> {
        self.0.iter().map(|(&bucket, &count)| (upper_edge(bucket), count))
    }

    /// The bucket in which, or below which, so many percent of them lie; none if there are none.
    pub fn bucket_of(&self, percent: u64) -> Option<u32> {
        let rest = u128::from(100 - percent.min(100));
        let mut above = u128::from(self.count()) * rest / 100;
        for (&bucket, &count) in self.0.iter().rev() {
            if u128::from(count) > above {
                return Some(bucket);
            }
            above -= u128::from(count);
        }
        None
    }

    /// So many percent of them lasted at least as long, microseconds: the lower edge of a bucket, so at most twice too
    /// short and never too long; 0 in the lowest. None if there are none.
    pub fn at_least_us(&self, percent: u64) -> Option<u64> {
        let rest = u128::from(100 - percent.min(100));
        let mut below = u128::from(self.count()) * rest / 100;
        for (&bucket, &count) in &self.0 {
            if u128::from(count) > below {
                return Some(lower_edge(bucket).0);
            }
            below -= u128::from(count);
        }
        None
    }

    /// So many percent of them lasted no longer, microseconds: the upper edge of a bucket, so at most
    /// twice too long and never too short.
    pub fn within_us(&self, percent: u64) -> Option<u64> {
        let bucket = self.bucket_of(percent)?;
        Some(upper_edge(bucket).0)
    }
}

/// The time that all in a bucket lie below.
fn upper_edge(bucket: u32) -> Micros {
    Micros(1u64.checked_shl(bucket.saturating_add(1)).unwrap_or(u64::MAX).saturating_mul(1000))
}

/// The least time in a bucket.
fn lower_edge(bucket: u32) -> Micros {
    match bucket {
        0 => Micros::ZERO,
        _ => Micros(1u64.checked_shl(bucket).unwrap_or(u64::MAX).saturating_mul(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(buckets: &[(u32, u64)], percent: u64, expected: Option<u64>) {
        let mut ages = Lifetimes::default();
        buckets.iter().for_each(|&(bucket, count)| ages.add(bucket, count));
        assert_eq!(ages.within_us(percent), expected, "{buckets:?}");
    }

    fn lifetimes(buckets: &[(u32, u64)]) -> Lifetimes {
        let mut lifetimes = Lifetimes::default();
        buckets.iter().for_each(|&(bucket, count)| lifetimes.add(bucket, count));
        lifetimes
    }

    #[test]
    fn a_share_lies_beyond_the_lower_edge_of_a_bucket() {
        for (buckets, percent, expected) in [
            (&[][..], 90, None),
            (&[(0, 1)], 90, Some(0)),
            (&[(3, 10), (10, 90)], 90, Some(1_024_000)),
            (&[(3, 11), (10, 89)], 90, Some(8_000)),
            (&[(3, 11), (10, 89)], 100, Some(8_000)),
        ] {
            assert_eq!(lifetimes(buckets).at_least_us(percent), expected, "{buckets:?}");
        }
    }

    #[test]
    fn what_lasted_longer_is_counted_by_lower_edges() {
        let times = lifetimes(&[(0, 100), (6, 5), (7, 3), (9, 1), (u32::MAX, 1)]);
        for (least_ms, count) in [(0, 110), (64, 10), (65, 5), (128, 5), (129, 2), (513, 1)] {
            assert_eq!(times.count_from(Micros(least_ms * 1000)), count, "{least_ms} ms");
        }
        let few = lifetimes(&[(0, 100), (6, 5), (7, 3), (9, 1)]);
        assert_eq!(few.sum_from(Micros(100_000)), Micros((3 * 128 + 512) * 1000));
        assert_eq!(times.sum_from(Micros(1)), Micros(u64::MAX));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let since = lifetimes(&[(1, 5), (3, 7), (9, 2)]).since(&lifetimes(&[(1, 5), (3, 4), (5, 1)]));
        assert_eq!(since, lifetimes(&[(3, 3), (9, 2)]));
    }

    #[test]
    fn a_share_lies_within_the_upper_edge_of_a_bucket() {
        check(&[], 50, None);
        check(&[(0, 1)], 50, Some(2_000));
        check(&[(0, 50), (10, 50)], 50, Some(2_000));
        check(&[(0, 49), (10, 51)], 50, Some(2_048_000));
        check(&[(0, 99), (10, 1)], 99, Some(2_000));
        check(&[(0, 98), (10, 2)], 99, Some(2_048_000));
        check(&[(u32::MAX, u64::MAX), (3, u64::MAX)], 90, Some(u64::MAX));
    }
}
