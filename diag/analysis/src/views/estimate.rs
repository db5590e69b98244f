//! A size that is known within limits.

use diag_snapshot::Bytes;
use serde::{Serialize, Serializer};

use crate::human::signed_bytes;
use crate::weighted_sum::WeightedSum;

/// A size that is known within limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The best guess, bytes.
    #[serde(serialize_with = "whole")]
    pub estimate_bytes: f64,
    /// Lower end of the 95 % interval, bytes.
    #[serde(serialize_with = "whole")]
    pub low_bytes: f64,
    /// Upper end of the 95 % interval, bytes.
    #[serde(serialize_with = "whole")]
    pub high_bytes: f64,
}

impl Estimate {
    /// Returns what a sum of samples stands for; `unseen_bytes` is the weight of one where none was seen.
    pub fn of(sum: &WeightedSum, unseen_bytes: f64) -> Self {
        let interval = sum.interval(unseen_bytes);
        Estimate { estimate_bytes: sum.sum, low_bytes: interval.low, high_bytes: interval.high }
    }

    /// Returns a size that is counted.
    pub fn exact(size: Bytes) -> Self {
        let bytes = size.0 as f64;
        Estimate { estimate_bytes: bytes, low_bytes: bytes, high_bytes: bytes }
    }

    /// Returns it with so much more that is counted.
    pub fn and_exactly(self, more: Bytes) -> Self {
        self.moved_by(more.0 as f64)
    }

    /// Returns it without a part of it that is counted.
    pub fn without(self, part: Bytes) -> Self {
        self.moved_by(-(part.0 as f64))
    }

    fn moved_by(self, bytes: f64) -> Self {
        let Estimate { estimate_bytes, low_bytes, high_bytes } = self;
        let moved = |of: f64| (of + bytes).max(0.0);
        Estimate {
            estimate_bytes: moved(estimate_bytes),
            low_bytes: moved(low_bytes),
            high_bytes: moved(high_bytes),
        }
    }

    /// Returns the best guess for people.
    pub fn estimate(&self) -> String {
        signed_bytes(self.estimate_bytes)
    }

    /// Returns the interval for people.
    pub fn interval(&self) -> String {
        format!("{} to {}", signed_bytes(self.low_bytes), signed_bytes(self.high_bytes))
    }
}

/// Writes an estimated size as a whole number of bytes: what a reader of the JSON expects of `_bytes`.
///
/// # Errors
/// Those of the serializer.
pub fn whole<S: Serializer>(bytes: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(bytes.round() as i64)
}
