//! What memory that grows comes to, and what descriptors that become more do.

use diag_snapshot::{Bytes, Micros};

use super::fact::BytesPerSecond;
use super::risk::Risk;
use crate::diff::Diff;
use crate::trend::Rates;

/// When there may be no more descriptors, if so many more are opened by the second; none without a limit that is known.
pub(super) fn descriptors_run_out(diff: &Diff, per_s: f64) -> Option<Risk> {
    let (open, limit) = (diff.after.open_files?, diff.after.open_files_limit?);
    let after = || Micros::from_secs(limit.saturating_sub(open) as f64 / per_s);
    (per_s > 0.0).then(|| Risk::DescriptorsRunOut { limit, after: after() })
}

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
