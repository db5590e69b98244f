//! A count in both snapshots, and what the difference is in words.

use std::fmt;

use diag_analysis::human;
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// A count before and after. All differences are signed as after minus before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// In the first snapshot.
    pub before: u64,
    /// In the second snapshot.
    pub after: u64,
}

impl Change {
    /// After minus before.
    pub fn delta(self) -> i64 {
        let size = i64::try_from(self.after.abs_diff(self.before)).unwrap_or(i64::MAX);
        if self.after < self.before { -size } else { size }
    }

    /// The difference in percent of what was before; none from zero.
    pub fn percent(self) -> Option<f64> {
        (self.before > 0).then(|| self.delta() as f64 / self.before as f64 * 100.0)
    }

    /// `15`, and `-340` of snapshots that are the wrong way round.
    pub fn counted(self) -> String {
        self.signed().trim_start_matches('+').to_owned()
    }

    /// `+15`, `-340`, `0`.
    pub fn signed(self) -> String {
        let sign = match self.delta() {
            0 => "",
            1.. => "+",
            _ => "-",
        };
        format!("{sign}{}", human::count(self.delta().unsigned_abs()))
    }

    /// `+35.7 %`, from the double on `2.11x`; none from zero or without a difference.
    pub fn relative(self) -> Option<String> {
        let percent = self.percent().filter(|_| self.before != self.after)?;
        Some(if percent >= 100.0 {
            format!("{:.2}x", 1.0 + percent / 100.0)
        } else {
            format!("{percent:+.1} %")
        })
    }
}

/// `42 to 57 (+35.7 %)`, `7, unchanged`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before == self.after {
            return write!(f, "{}, unchanged", human::count(self.after));
        }
        write!(f, "{} to {}", human::count(self.before), human::count(self.after))?;
        self.relative().map_or(Ok(()), |relative| write!(f, " ({relative})"))
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut change = serializer.serialize_struct("Change", 4)?;
        change.serialize_field("before", &self.before)?;
        change.serialize_field("after", &self.after)?;
        change.serialize_field("delta", &self.delta())?;
        change.serialize_field("percent", &self.percent())?;
        change.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: u64, after: u64, expected: &str) {
        assert_eq!(Change { before, after }.to_string(), expected);
    }

    #[test]
    fn percentages_are_of_what_was_before() {
        check(42, 57, "42 to 57 (+35.7 %)");
        check(1_280, 940, "1,280 to 940 (-26.6 %)");
        check(186, 392, "186 to 392 (2.11x)");
        check(10, 20, "10 to 20 (2.00x)");
        check(10, 19, "10 to 19 (+90.0 %)");
        check(5, 0, "5 to 0 (-100.0 %)");
        check(0, 5, "0 to 5");
        check(7, 7, "7, unchanged");
        check(0, 0, "0, unchanged");
    }

    #[test]
    fn a_swap_negates() {
        let (there, back) = (Change { before: 3, after: 1_200 }, Change { before: 1_200, after: 3 });
        assert_eq!(there.delta(), -back.delta());
        assert_eq!((there.signed(), back.signed()), ("+1,197".to_owned(), "-1,197".to_owned()));
    }
}
