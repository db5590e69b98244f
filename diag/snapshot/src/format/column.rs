//! One column: `u64` values as varints under a [`Coding`].

use super::bytes::{Cursor, put_varint};
use crate::schema::Coding;

/// The byte that stands for a coding in the file.
pub(super) fn code(coding: Coding) -> u8 {
    match coding {
        Coding::Plain => 0,
        Coding::Delta => 1,
        Coding::Ascending => 2,
    }
}

pub(super) fn from_code(code: u8) -> Option<Coding> {
    [Coding::Plain, Coding::Delta, Coding::Ascending].into_iter().find(|&coding| self::code(coding) == code)
}

/// Appends `values` and says how they were coded: as wished, or plain if a difference does not fit
/// 63 bits and a sign. `Ascending` values must ascend, which the caller has seen to.
pub(super) fn encode(values: &[u64], wish: Coding, out: &mut Vec<u8>) -> Coding {
    let coding = if wish == Coding::Delta && !deltas_fit(values) { Coding::Plain } else { wish };
    out.reserve(values.len() * 2);
    match coding {
        Coding::Plain => values.iter().for_each(|&value| put_varint(out, value)),
        Coding::Delta => pairs(values).for_each(|(before, value)| put_varint(out, zigzag(before, value))),
        Coding::Ascending => {
            let mut least = 0;
            for &value in values {
                put_varint(out, value.saturating_sub(least));
                least = value.saturating_add(1);
            }
        }
    }
    coding
}

/// The values of a column of `rows`, which must take up all of `data`.
pub(super) fn decode(data: &[u8], coding: Coding, rows: usize) -> Result<Vec<u64>, String> {
    if data.len() < rows {
        return Err(format!("{rows} rows do not fit into {} bytes", data.len()));
    }
    match coding {
        Coding::Plain => decode_with(data, rows, Some),
        Coding::Delta => {
            let mut before = 0u64;
            decode_with(data, rows, |code| {
                before = before.checked_add_signed(unzigzag(code))?;
                Some(before)
            })
        }
        Coding::Ascending => {
            // `None` once the greatest value of all was there: nothing can follow it.
            let mut least = Some(0u64);
            decode_with(data, rows, |code| {
                let value = least?.checked_add(code)?;
                least = value.checked_add(1);
                Some(value)
            })
        }
    }
}

fn decode_with(
    data: &[u8],
    rows: usize,
    mut value_of: impl FnMut(u64) -> Option<u64>,
) -> Result<Vec<u64>, String> {
    let mut cursor = Cursor::new(data);
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let code = cursor.varint().ok_or_else(|| format!("row {row} is no number"))?;
        values.push(value_of(code).ok_or_else(|| format!("row {row} does not fit 64 bits"))?);
    }
    match cursor.left() {
        0 => Ok(values),
        left => Err(format!("{left} bytes after the last of {rows} rows")),
    }
}

/// Each value after the one before it, 0 before the first.
fn pairs(values: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    std::iter::once(0).chain(values.iter().copied()).zip(values.iter().copied())
}

fn deltas_fit(values: &[u64]) -> bool {
    pairs(values).all(|(before, value)| i64::try_from(i128::from(value) - i128::from(before)).is_ok())
}

/// The signed difference with its sign in the lowest bit, so that small ones are short.
fn zigzag(before: u64, value: u64) -> u64 {
    let delta = value.wrapping_sub(before) as i64;
    ((delta << 1) ^ (delta >> 63)) as u64
}

fn unzigzag(code: u64) -> i64 {
    (code >> 1) as i64 ^ -((code & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[u64], wish: Coding, expected: Coding) {
        let mut data = Vec::new();
        assert_eq!(encode(values, wish, &mut data), expected, "{values:?}");
        assert_eq!(decode(&data, expected, values.len()).as_deref(), Ok(values));
    }

    #[test]
    fn every_coding_round_trips_at_its_limits() {
        for wish in [Coding::Plain, Coding::Delta, Coding::Ascending] {
            check(&[], wish, wish);
            check(&[0, 1, 2, 300, u64::MAX >> 2], wish, wish);
        }
        check(&[5, 5, 0, 7], Coding::Delta, Coding::Delta);
        check(&[0, u64::MAX >> 1, u64::MAX - 1, u64::MAX >> 1, 0], Coding::Delta, Coding::Delta);
        check(&[u64::MAX - 1, u64::MAX], Coding::Ascending, Coding::Ascending);
    }

    #[test]
    fn a_difference_beyond_63_bits_is_written_plain() {
        check(&[0, u64::MAX], Coding::Delta, Coding::Plain);
        check(&[u64::MAX, 0], Coding::Delta, Coding::Plain);
    }

    #[test]
    fn an_overflow_is_an_error_and_names_the_row() {
        let mut data = Vec::new();
        put_varint(&mut data, u64::MAX);
        put_varint(&mut data, 0);
        let expected = Err("row 1 does not fit 64 bits".to_owned());
        assert_eq!(decode(&data, Coding::Ascending, 2), expected);
        let below_zero = [2, 5];
        assert_eq!(decode(&below_zero, Coding::Delta, 2), expected);
    }

    #[test]
    fn an_absurd_row_count_allocates_nothing() {
        let expected = Err(format!("{} rows do not fit into 3 bytes", usize::MAX));
        assert_eq!(decode(&[1, 2, 3], Coding::Plain, usize::MAX), expected);
    }
}
