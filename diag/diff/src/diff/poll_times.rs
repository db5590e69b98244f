//! How long polls took between two snapshots, and how long woken tasks waited for theirs.

use std::collections::BTreeMap;

use diag_snapshot::{SiteIndex, SiteKind, Snapshot};

use super::sites::{Join, Positions};
use super::{Lifetimes, Site};

/// Times of polls, by powers of two. Those of several milliseconds are counted one by one; of shorter ones, one stands
/// for many.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PollTimes {
    /// How long polls took that ended since the first snapshot, by spawn site: those of tasks, which keep a worker.
    pub sites: BTreeMap<Site, Lifetimes>,
    /// How long woken tasks waited for the poll that they had since the first snapshot, at all sites.
    pub delays: Lifetimes,
}

/// Of two snapshots of one process.
pub(super) fn poll_times(before: &Snapshot, after: &Snapshot, join: &Join) -> PollTimes {
    let (was, is) = (times(before, &join.before), times(after, &join.after));
    let none = Lifetimes::default();
    let since = |(&place, times): (&usize, &Lifetimes)| {
        let since = times.since(was.get(&place).unwrap_or(&none));
        (since.count() > 0).then(|| (join.sites[place].site.clone(), since))
    };
    PollTimes { sites: is.iter().filter_map(since).collect(), delays: delays(after).since(&delays(before)) }
}

/// A power of two of microseconds, of which 10 is a millisecond and 24 microseconds more.
const MILLISECOND: u32 = 10;

/// By position in [`Join::sites`]. Each time counts as no more than it was.
fn times(snapshot: &Snapshot, places: &Positions) -> BTreeMap<usize, Lifetimes> {
    let rows = snapshot.poll_times.iter().filter(|row| keeps_a_worker(snapshot, row.site));
    places.by_site(rows.map(|row| (row.site, row.bucket.saturating_sub(MILLISECOND), row.count)))
}

/// Closures on the threads for blocking work are there to block, and a future's polls are in those of its task.
fn keeps_a_worker(snapshot: &Snapshot, site: SiteIndex) -> bool {
    let kind = snapshot.sites.get(site.0 as usize).and_then(|site| site.kind);
    matches!(kind, None | Some(SiteKind::Task | SiteKind::Local))
}

fn delays(snapshot: &Snapshot) -> Lifetimes {
    let mut delays = Lifetimes::default();
    snapshot.poll_delays.iter().for_each(|row| delays.add(row.bucket, row.count));
    delays
}
