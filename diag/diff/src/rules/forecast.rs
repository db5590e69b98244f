//! What memory that grows comes to.

use diag_snapshot::{Bytes, Micros};

use super::fact::BytesPerSecond;
use super::risk::Risk;
use crate::diff::Diff;
use crate::trend::Rates;

/// The limit and when it is met, if there is one, or how fast it grows.
///
/// It goes on at the mean rate, or at that of the slowest or the fastest window.
pub(super) fn memory_grows(diff: Option<&Diff>, rates: Rates) -> Risk {
    let growth = BytesPerSecond(rates.mean);
    match diff.and_then(Diff::memory_room).filter(|_| rates.slowest > 0.0) {
        Some(room) => {
            let after = |rate: f64| Micros::from_secs(room.left_bytes() as f64 / rate);
            Risk::MemoryRunsOut {
                growth,
                limit: Bytes(room.limit_bytes),
                after: after(rates.mean),
                earliest: after(rates.fastest),
                latest: after(rates.slowest),
            }
        }
        None => Risk::MemoryGrows { growth },
    }
}
