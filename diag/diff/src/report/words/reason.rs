//! [`Reason`] in words.

use std::fmt;

use super::{count, time};
use crate::rules::fact::Percent;
use crate::rules::reason::Reason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Reason::*;
        match self {
            Reversed { window } => {
                write!(f, "the first snapshot is {} younger than the second: swap them", time(window))
            }
            TooClose { window, least } => write!(
                f,
                "the snapshots are only {} apart: take them at least {} apart (`min_window_s` in the policy)",
                time(window),
                time(least)
            ),
            NoTaskCount => f.write_str(
                "the runtime's own number of tasks is not in the second snapshot, so untracked tasks could grow \
                 unseen: call `diag::init()` inside of the runtime",
            ),
            LowCoverage { coverage: Percent(coverage), least: Percent(least) } => write!(
                f,
                "only {coverage:.1} % of the tasks are tracked and the policy asks for {least:.1} % \
                 (`min_coverage`): spawn with `diag::spawn`"
            ),
            NoHeapBefore => no_heap(f, "first"),
            NoHeapAfter => no_heap(f, "second"),
            UptimesDiffer { before, after } => write!(
                f,
                "the snapshots are of two processes, up {} and {}: their sizes are compared at about the same uptime",
                time(before),
                time(after)
            ),
            LoadsDiffer { before, after } => write!(
                f,
                "the snapshots are of two processes, in which {} and {} tasks had been spawned: their sizes are compared at \
                 about the same load",
                count(before),
                count(after)
            ),
            TooEarly { spawned_at, grown, usual_lifetime, needed_uptime } => write!(
                f,
                "{spawned_at} grew by {} tasks, which usually live up to {}: whether the new ones stay shows after {} \
                 of uptime",
                count(grown),
                time(usual_lifetime),
                time(needed_uptime)
            ),
        }
    }
}

fn no_heap(f: &mut fmt::Formatter<'_>, missing: &str) -> fmt::Result {
    write!(f, "the {missing} snapshot has no heap samples: take both with the heap sampled or both without")
}
