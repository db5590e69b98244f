//! Why snapshots may be too little to call a service clean.

use diag_analysis::site::Site;
use diag_snapshot::Micros;

use super::fact::{Percent, facts};

facts! {
    /// Why snapshots may be too little to call a service clean.
    #[non_exhaustive]
    pub enum Reason {
        /// They were given in reverse.
        Reversed { window: Micros },
        /// They are too close.
        TooClose { window: Micros, least: Micros },
        /// Untracked tasks are not counted.
        NoTaskCount,
        /// Too few of the tasks are tracked.
        LowCoverage { coverage: Percent, least: Percent },
        /// Only the second has a heap.
        NoHeapBefore,
        /// Only the first has a heap.
        NoHeapAfter,
        /// Two processes had not been up for as long.
        UptimesDiffer { before: Micros, after: Micros },
        /// Two processes had not as much to do: so many tasks had ended in either.
        LoadsDiffer { before: u64, after: u64 },
        /// New tasks of a site could not be stale yet.
        TooEarly { spawned_at: Site, grown: u64, usual_lifetime: Micros, needed_uptime: Micros },
    }
}
