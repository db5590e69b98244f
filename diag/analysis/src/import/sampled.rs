//! From sums to samples: rows of a snapshot that come to a number of blocks and their bytes, both exactly.
//!
//! A row of size `s` at rate `R` stands for `s / (1 - exp(-s/R))` bytes in blocks of that size. A unit of `R` more is
//! at most a byte more, so that a rate can be found for any sum. Blocks of two sizes, a byte apart, come to any mean.

/// The size of a sampled block, and the rate that it was sampled at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) size_bytes: u64,
    pub(super) rate_bytes: u64,
}

/// Samples of blocks that have bytes together, with `error` bytes too many so far; the error is then what these leave of
/// it. There are as many as a sampler with this mean distance between samples finds, from 1 to `most`, where 0 and 1 are
/// one that finds each block; up to four where fewer cannot come to the sums.
pub(super) fn samples(
    [blocks, bytes]: [u64; 2],
    rate_bytes: u64,
    most: u64,
    error: &mut f64,
) -> impl Iterator<Item = Sampled> {
    let size = bytes.checked_div(blocks).unwrap_or(0);
    // So many blocks are one byte larger than the others.
    let larger = bytes.checked_rem(blocks).unwrap_or(0);
    let two_sizes = u64::from(larger > 0);
    let most = most.saturating_sub(two_sizes).max(1);
    let wanted = expected(blocks, bytes, rate_bytes).clamp(1, most).max(1 + two_sizes);
    let of_larger = share(wanted, larger, blocks);
    let smaller = of_size(size, blocks - larger, wanted - of_larger, error);
    smaller.into_iter().chain(of_size(size + 1, larger, of_larger, error))
}

/// How many samples there are of so many blocks, on average.
fn expected(blocks: u64, bytes: u64, rate_bytes: u64) -> u64 {
    if rate_bytes <= 1 {
        return blocks;
    }
    let mean = (bytes as f64 / blocks as f64).max(1.0);
    (blocks as f64 * -(-mean / rate_bytes as f64).exp_m1()).round() as u64
}

/// A part of the samples as large as that of the blocks, but none without a sample.
fn share(samples: u64, part: u64, blocks: u64) -> u64 {
    if part == 0 {
        return 0;
    }
    let share = (samples as f64 * (part as f64 / blocks as f64)).round() as u64;
    share.clamp(1, samples.saturating_sub(1).max(1))
}

/// Beyond this an error is too near to half a byte, from which on a sum is rounded to another number.
const TOO_LARGE: f64 = 0.4;
/// So many numbers of samples are tried. One in five leaves an error that is too large.
const TRIES: u64 = 12;

/// Samples of so many blocks of one size: fewer than wanted if these come nearer to their bytes.
fn of_size(size_bytes: u64, blocks: u64, wanted: u64, error: &mut f64) -> Vec<Sampled> {
    if size_bytes == 0 {
        // A block without bytes counts as one of a byte, as it does when it is sampled.
        let made = some(1, blocks, wanted.min(blocks), 0.0).0;
        return made.into_iter().map(|one| Sampled { size_bytes, ..one }).collect();
    }
    let wanted = if wanted < blocks { even(size_bytes, wanted).min(blocks) } else { blocks };
    let (mut made, mut left) = some(size_bytes, blocks, wanted, *error);
    let fewer = (1..TRIES).map_while(|times| wanted.checked_sub(2 * times)).take_while(|&fewer| fewer > 0);
    for fewer in fewer {
        if left.abs() <= TOO_LARGE {
            break;
        }
        let (others, nearer) = some(size_bytes, blocks, fewer, *error);
        if nearer.abs() < left.abs() {
            (made, left) = (others, nearer);
        }
    }
    *error = left;
    made
}

/// So many samples, and the error that they leave.
fn some(size: u64, blocks: u64, samples: u64, error: f64) -> (Vec<Sampled>, f64) {
    let all = size as f64 * blocks as f64;
    let mut sum = error;
    let sample = |nth: u64| {
        let rate_bytes = rate(size, all * (nth as f64 / samples as f64) - sum);
        sum += weight(size, rate_bytes);
        Sampled { size_bytes: size, rate_bytes }
    };
    let made = (1..=samples).map(sample).collect();
    (made, sum - all)
}

/// A sample stands for its rate and half of its size, if the rate is high: two of an odd size for a whole number of
/// bytes, and one for half a byte too much or too little.
fn even(size: u64, wanted: u64) -> u64 {
    match wanted {
        _ if size.is_multiple_of(2) => wanted,
        1 => 2,
        _ => wanted / 2 * 2,
    }
}

/// The rate at which a sample of this size stands for as near to so many bytes as it can.
fn rate(size: u64, bytes: f64) -> u64 {
    // The share of blocks that are samples; the size itself is all of them.
    let share = size as f64 / bytes;
    if share.is_nan() || share >= 1.0 || share <= 0.0 {
        return 0;
    }
    let near = (-(size as f64) / (-share).ln_1p()) as u64;
    let error = |rate: &u64| (weight(size, *rate) - bytes).abs();
    let rates = near.saturating_sub(1)..=near.saturating_add(2);
    rates.min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(near)
}

/// Bytes that a sample stands for.
fn weight(size: u64, rate_bytes: u64) -> f64 {
    if rate_bytes == 0 {
        return size as f64;
    }
    size as f64 / -(-(size as f64) / rate_bytes as f64).exp_m1()
}

#[cfg(test)]
mod tests {
    use diag_snapshot::SampleRow;
    use proptest::prelude::*;

    use super::*;

    /// What a reader of the rows finds: how many there are, and the blocks and bytes that they stand for.
    fn read(blocks: u64, bytes: u64, rate_bytes: u64, most: u64) -> (usize, u64, u64) {
        let rows: Vec<SampleRow> = samples([blocks, bytes], rate_bytes, most, &mut 0.0)
            .map(|Sampled { size_bytes, rate_bytes }| SampleRow {
                size_bytes,
                rate_bytes,
                ..Default::default()
            })
            .collect();
        let blocks: f64 = rows.iter().map(|row| 1.0 / row.probability()).sum();
        let bytes: f64 = rows.iter().map(SampleRow::weight_bytes).sum();
        (rows.len(), blocks.round() as u64, bytes.round() as u64)
    }

    #[test]
    fn there_are_as_many_as_a_sampler_would_find() {
        const RATE: u64 = 512 << 10;
        assert_eq!(read(4_096, 4_096 * 1_280, RATE, 64), (10, 4_096, 4_096 * 1_280));
        assert_eq!(read(3, 3 << 20, RATE, 64), (3, 3, 3 << 20), "large blocks are hardly missed");
        assert_eq!(read(1_000_000, 64_000_000_000, RATE, 64).0, 64);
        assert_eq!(read(5, 5 * 16, RATE, 64), (1, 5, 80), "at least one");
        assert_eq!(read(5, 83, RATE, 64), (3, 5, 83), "of two sizes, and two of the odd one");
        assert_eq!(read(9, 9_999, 0, 64), (9, 9, 9_999));
        assert_eq!(read(100, 6_400, 1, 64), (64, 100, 6_400), "no more than most");
        assert_eq!(read(0, 9, 1, 64), (0, 0, 0));
    }

    #[test]
    fn blocks_without_bytes_are_counted_all_the_same() {
        assert_eq!(read(1_000, 0, 512, 64).1, 1_000);
        assert_eq!(read(7, 0, 0, 64), (7, 7, 0));
    }

    proptest! {
        #[test]
        fn errors_of_one_stack_do_not_add_up(
            parts in proptest::collection::vec((1_u64..1_000_000, 8_u64..100_000), 1..20),
            rate in 2_u64..1 << 20,
        ) {
            let (mut error, mut sum, mut all) = (0.0, 0.0, 0);
            for (blocks, mean) in parts {
                let made = samples([blocks, blocks * mean], rate, 64, &mut error);
                sum += made.map(|one| weight(one.size_bytes, one.rate_bytes)).sum::<f64>();
                all += blocks * mean;
            }
            prop_assert_eq!(sum.round() as u64, all);
        }

        #[test]
        fn sums_come_back_exactly(
            blocks in 1_u64..1 << 26,
            mean in 1_u64..1 << 18,
            more in 0.0_f64..1.0,
            rate in prop_oneof![Just(0), Just(1), 2_u64..1 << 24],
            most in 1_u64..65,
        ) {
            let bytes = blocks * mean + (blocks as f64 * more) as u64;
            let (rows, counted, summed) = read(blocks, bytes, rate, most);
            prop_assert_eq!((counted, summed), (blocks, bytes));
            prop_assert!((1..=most.max(4) as usize).contains(&rows), "{} rows", rows);
        }
    }
}
