//! How old blocks must be, as it stands in an address: `90s`, `10min`.

use std::fmt;
use std::str::FromStr;

use diag_snapshot::Micros;

/// Units with their microseconds, the largest last; the words of reports.
const UNITS: [(&str, u64); 5] =
    [("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)];

/// At least so old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Micros);

impl Age {
    /// Those that a page offers.
    pub(crate) const OFFERED: [Age; 5] = [
        Age(Micros(10_000_000)),
        Age(Micros(60_000_000)),
        Age(Micros(600_000_000)),
        Age(Micros(3_600_000_000)),
        Age(Micros(86_400_000_000)),
    ];
}

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = "age is a whole number with its unit, of ms, s, min, h and d, such as 90s";
        let digits = text.find(|char: char| !char.is_ascii_digit()).ok_or(hint)?;
        let (number, unit) = text.split_at(digits);
        let (_, micros) = UNITS.into_iter().find(|(word, _)| *word == unit).ok_or(hint)?;
        let number: u64 = number.parse().map_err(|_| hint)?;
        Ok(Age(Micros(number.saturating_mul(micros))))
    }
}

/// In the largest unit of which it is a whole number.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Age(Micros(micros)) = *self;
        let whole = UNITS.into_iter().rev().find(|(_, unit)| micros.is_multiple_of(*unit));
        let (word, unit) = whole.unwrap_or(UNITS[0]);
        write!(f, "{}{word}", micros / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, micros: u64, again: &str) {
        let age: Age = text.parse().expect(text);
        assert_eq!((age.0, age.to_string().as_str()), (Micros(micros), again), "{text}");
    }

    #[test]
    fn ages_are_read_and_written() {
        check("60s", 60_000_000, "1min");
        check("90s", 90_000_000, "90s");
        check("1500ms", 1_500_000, "1500ms");
        check("48h", 172_800_000_000, "2d");
        check("0s", 0, "0d");
        // The largest is beyond all that a snapshot can have.
        assert_eq!("18446744073709551615d".parse(), Ok(Age(Micros(u64::MAX))));
        for text in ["60", "s", "-1s", "1.5s", "1 s", "9y", "18446744073709551616s", "٣s", ""] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
