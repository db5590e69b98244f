//! How long polls took, in the format that the client reads: HdrHistogram's V2, not compressed.
//!
//! The recorder counts by powers of two of microseconds and by spawn site. Each of its buckets is one value here, the geometric
//! middle: off by a factor of 1.41 at the most.

use std::collections::BTreeMap;

use console_api::tasks::DurationHistogram;
use diag_snapshot::{PollTimeRow, Table};

const COOKIE: u32 = 0x1c84_9303 | 0x10;
const SIGNIFICANT_DIGITS: u32 = 2;
/// Of two digits each power of two has so many equal steps, 2 to this.
const STEPS_BITS: u32 = 7;
/// The buckets of the recorder end long before.
const MOST_BITS: u32 = 50;

/// How long polls took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PollTimes {
    /// By powers of two of microseconds.
    counts: BTreeMap<u32, u64>,
}

/// Of each site that has any.
pub(super) fn by_site(rows: &Table<PollTimeRow>) -> BTreeMap<u32, PollTimes> {
    let mut sites: BTreeMap<u32, PollTimes> = BTreeMap::new();
    for row in rows.iter() {
        let count = sites.entry(row.site.0).or_default().counts.entry(row.bucket).or_default();
        *count = count.saturating_add(row.count);
    }
    sites
}

impl PollTimes {
    pub(super) fn to_proto(&self) -> DurationHistogram {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for (&bucket, &count) in &self.counts {
            let index = index(middle_ns(bucket));
            let sum = counts.entry(index).or_default();
            *sum = sum.saturating_add(count);
        }
        let last = self.counts.keys().next_back().copied().unwrap_or(0);
        let max_value = middle_ns(last).max(2) * 2;
        DurationHistogram {
            raw_histogram: encoded(&counts, max_value),
            max_value,
            high_outliers: 0,
            highest_outlier: None,
        }
    }
}

/// A value for what took from `2^bucket` to `2^(bucket+1)` microseconds.
fn middle_ns(bucket: u32) -> u64 {
    let from_ns = 1_000_u64 << bucket.min(MOST_BITS - 10);
    from_ns + from_ns * 414 / 1_000
}

/// The place of a value among the counts: equal steps in each power of two.
fn index(value: u64) -> u64 {
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(STEPS_BITS + 1);
    (u64::from(shift) << STEPS_BITS) + (value >> shift)
}

fn encoded(counts: &BTreeMap<u64, u64>, highest: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut next = 0;
    for (&index, &count) in counts {
        match index - next {
            0 => {}
            1 => put(&mut body, 0),
            // So many without a count.
            gap => put(&mut body, -(gap as i64)),
        }
        put(&mut body, i64::try_from(count).unwrap_or(i64::MAX));
        next = index + 1;
    }
    let mut bytes = Vec::with_capacity(40 + body.len());
    for word in [COOKIE, body.len() as u32, 0, SIGNIFICANT_DIGITS] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(highest.to_be_bytes());
    bytes.extend(1.0_f64.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A number with its sign in the lowest bit, seven bits a byte; the ninth byte has eight.
fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            return bytes.push(rest as u8);
        }
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;

    use super::*;

    /// As tokio-console reads it.
    fn read(times: &PollTimes) -> Histogram<u64> {
        let bytes = times.to_proto().raw_histogram;
        Deserializer::new().deserialize(&mut &bytes[..]).expect("it is one")
    }

    #[test]
    fn the_reader_of_tokio_console_has_the_counts_and_times() {
        let counts = BTreeMap::from([(0, 3), (1, 1), (5, 90), (20, 6)]);
        let read = read(&PollTimes { counts: counts.clone() });
        assert_eq!(read.len(), 100);
        for (bucket, count) in counts {
            let (from, to) = (1_000 << bucket, 2_000_u64 << bucket);
            assert_eq!(read.count_between(from, to - 1), count, "{bucket}");
        }
        let median = read.value_at_quantile(0.5);
        assert!((32_000..64_000).contains(&median), "{median}");
    }

    #[test]
    fn absurd_numbers_are_one_too() {
        assert_eq!(read(&PollTimes::default()).len(), 0);
        let absurd = PollTimes { counts: BTreeMap::from([(0, 1), (63, 5), (u32::MAX, i64::MAX as u64 - 9)]) };
        assert_eq!(read(&absurd).len(), i64::MAX as u64 - 3);
    }
}
