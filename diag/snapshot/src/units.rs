//! Numbers with their unit: a time is no size, and microseconds are no nanoseconds.
//!
//! Arithmetic saturates, as that of counters of a service that runs for years must. What leaves as JSON leaves as
//! durations in nanoseconds and sizes in bytes; that is decided here and nowhere else, and a key that ends in `_ns`
//! or `_bytes` says so.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Serialize, Serializer};

use crate::schema::Cell;

macro_rules! unit {
    ($(#[doc = $doc:literal])* $Unit:ident, $words:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $Unit(pub u64);

        impl $Unit {
            /// None of it.
            pub const ZERO: Self = $Unit(0);
        }

        impl Add for $Unit {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                $Unit(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $Unit {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sub for $Unit {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                $Unit(self.0.saturating_sub(other.0))
            }
        }

        impl Sum for $Unit {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, Add::add)
            }
        }

        impl Cell for $Unit {
            const UNIT: Option<&'static str> = Some($words);

            fn to_cell(self) -> u64 {
                self.0
            }

            fn from_cell(cell: u64) -> Self {
                $Unit(cell)
            }
        }
    };
}

unit! {
    /// Microseconds: a duration, or a time since the process started.
    Micros, "microseconds"
}

unit! {
    /// Nanoseconds.
    Nanos, "nanoseconds"
}

unit! {
    /// Bytes.
    Bytes, "bytes"
}

impl Micros {
    /// So many seconds, rounded down; nothing of a negative number or of none.
    pub fn from_secs(seconds: f64) -> Self {
        Micros((seconds * 1e6) as u64)
    }

    /// The same duration in nanoseconds.
    pub fn as_nanos(self) -> u64 {
        self.0.saturating_mul(1_000)
    }
}

/// In nanoseconds, under a key that ends in `_ns`.
impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_nanos())
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// Under a key that ends in `_bytes`.
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!([Micros(3) - Micros(5), Micros(u64::MAX) + Micros(1)], [Micros::ZERO, Micros(u64::MAX)]);
        assert_eq!([Bytes(7), Bytes(u64::MAX)].into_iter().sum::<Bytes>(), Bytes(u64::MAX));
        assert_eq!(Micros(u64::MAX).as_nanos(), u64::MAX);
        let seconds = [0.25, -1.0, f64::NAN, f64::INFINITY].map(Micros::from_secs);
        assert_eq!(seconds, [Micros(250_000), Micros::ZERO, Micros::ZERO, Micros(u64::MAX)]);
    }

    #[test]
    fn durations_leave_as_nanoseconds_and_sizes_as_bytes() {
        let json = serde_json::json!({ "idle_ns": Micros(3), "busy_ns": Nanos(3), "size_bytes": Bytes(3) });
        assert_eq!(json.to_string(), r#"{"busy_ns":3,"idle_ns":3000,"size_bytes":3}"#);
    }
}
