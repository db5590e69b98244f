//! Days of the calendar.

use std::fmt;

/// A day of UTC in the Gregorian calendar, in text `2026-11-21`.
///
/// ```
/// use diag_snapshot::Date;
///
/// assert_eq!(Date::at(951_782_400).to_string(), "2000-02-29");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// Returns the day at so many seconds since the Unix epoch.
    pub fn at(unix_s: u64) -> Self {
        // Years that begin in March have a leap day as the last, and 400 of them always as many days.
        const DAYS_OF_400_YEARS: u64 = 146_097;
        /// From the first of March of the year 0 to the epoch.
        const EPOCH: u64 = 719_468;
        let days = unix_s / 86_400 + EPOCH;
        let (era, of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Date { year: era * 400 + year + u64::from(month <= 2), month, day }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = self;
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let date = |unix_s| {
            let Date { year, month, day } = Date::at(unix_s);
            (year, month, day)
        };
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(951_782_400), (2000, 2, 29));
        assert_eq!((date(951_868_799), date(951_868_800)), ((2000, 2, 29), (2000, 3, 1)));
        assert_eq!((date(1_767_225_599), date(1_767_225_600)), ((2025, 12, 31), (2026, 1, 1)));
        assert!(Date::at(u64::MAX) > Date::at(0), "absurd numbers are days, too");
    }
}
