//! Numbers and names as people read them: the one way for dump, reports, command line and viewer.
//!
//! Nothing is rounded up: 59.9 seconds are `59 s`, so that no text claims more than was seen.

use diag_snapshot::{Date, Micros};

/// A number with its thousands apart: `4,812`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 task`, `4,812 tasks`, `3 possibilities`.
pub fn counted(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", count(number)),
        (_, None) => format!("{} {noun}s", count(number)),
    }
}

/// A time span in nanoseconds in its largest unit, with one decimal below ten: `2.3 s`, `14 min`.
pub fn duration(ns: u64) -> String {
    const UNITS: [(u64, &str); 7] = [
        (1, "ns"),
        (1_000, "µs"),
        (1_000_000, "ms"),
        (1_000_000_000, "s"),
        (60_000_000_000, "min"),
        (3_600_000_000_000, "h"),
        (86_400_000_000_000, "d"),
    ];
    in_unit(ns, &UNITS)
}

/// A time span in microseconds, as [`duration`].
pub fn duration_us(us: u64) -> String {
    duration(Micros(us).as_nanos())
}

/// A size in bytes in its largest binary unit, with one decimal below ten: `1.5 KiB`, `32 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] =
        [(1, "B"), (1 << 10, "KiB"), (1 << 20, "MiB"), (1 << 30, "GiB"), (1 << 40, "TiB"), (1 << 50, "PiB")];
    in_unit(bytes, &UNITS)
}

/// A size that may have shrunk, in its largest binary unit: `-1.5 KiB`.
pub fn signed_bytes(size: f64) -> String {
    let sign = if size < 0.0 { "-" } else { "" };
    format!("{sign}{}", bytes(size.abs() as u64))
}

/// A moment in microseconds since the Unix epoch, to the second and in UTC: `2026-11-21T10:00:00Z`.
pub fn time(unix_us: u64) -> String {
    let seconds = unix_us / 1_000_000;
    let (date, second) = (Date::at(seconds), seconds % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A name from a snapshot, safe to print, between quotes as well: control and invisible characters are escaped, and what
/// goes beyond 200 characters is cut with `…`. A terminal never sees what a service put into it.
pub fn name(name: &str) -> String {
    const LONGEST: usize = 200;
    let mut text = String::with_capacity(name.len().min(LONGEST));
    for (i, char) in name.chars().enumerate() {
        match char {
            _ if i == LONGEST => {
                text.push('…');
                break;
            }
            '\'' => text.push(char),
            _ => text.extend(char.escape_debug()),
        }
    }
    text
}

/// `units` from small to large, the first of them 1.
fn in_unit(value: u64, units: &[(u64, &str)]) -> String {
    let (size, unit) = units.iter().rev().find(|(size, _)| value >= *size).copied().unwrap_or(units[0]);
    let (whole, tenths) = (value / size, u128::from(value % size) * 10 / u128::from(size));
    match (whole, tenths) {
        (10.., _) | (_, 0) => format!("{} {unit}", count(whole)),
        _ => format!("{whole}.{tenths} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let texts = [(0, "task"), (1, "task"), (4_812, "task"), (2, "possibility")]
            .map(|(number, noun)| counted(number, noun));
        assert_eq!(texts, ["0 tasks", "1 task", "4,812 tasks", "2 possibilities"]);
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        for (number, expected) in [(0, "0"), (999, "999"), (4_812, "4,812"), (1_200_000, "1,200,000")] {
            assert_eq!(count(number), expected);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn durations_use_the_largest_unit_and_never_round_up() {
        for (ns, expected) in [
            (0, "0 ns"),
            (1_500, "1.5 µs"),
            (180_000_000, "180 ms"),
            (2_390_000_000, "2.3 s"),
            (59_999_999_999, "59 s"),
            (840_000_000_000, "14 min"),
            (7_200_000_000_000, "2 h"),
            (u64::MAX, "213,503 d"),
        ] {
            assert_eq!(duration(ns), expected);
        }
        assert_eq!(duration_us(2_300_000), "2.3 s");
    }

    #[test]
    fn sizes_are_binary() {
        for (size, expected) in [
            (0, "0 B"),
            (1_023, "1,023 B"),
            (1_536, "1.5 KiB"),
            (32 << 20, "32 MiB"),
            (u64::MAX, "16,383 PiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn times_are_utc_and_know_leap_years() {
        for (unix_s, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_255_200, "2026-11-21T10:00:00Z"),
        ] {
            assert_eq!(time(unix_s * 1_000_000), expected);
        }
    }

    #[test]
    fn hostile_names_are_harmless_and_short() {
        assert_eq!(name("a::b<'_>"), "a::b<'_>");
        assert_eq!(name("\"\\"), "\\\"\\\\");
        assert_eq!(name("\u{1b}[31m\n\u{202e}"), "\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(name(&"é".repeat(1_000)).chars().count(), 201);
    }
}
