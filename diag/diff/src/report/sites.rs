//! The table of spawn sites in a report.

use diag_analysis::human;
use diag_snapshot::{Micros, SiteKind};
use serde::Serialize;

use super::Change;
use crate::diff::{Diff, Moves, Site, SiteDiff, Spread};

/// One spawn site in both snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SiteChange {
    /// Which site: by this a finding is joined to it.
    #[serde(skip)]
    pub site: Site,
    /// `file:line:column`.
    pub location: String,
    /// Type of the spawned future.
    pub name: String,
    /// Tasks, or what else is made there.
    pub kind: &'static str,
    /// Live tasks.
    pub live: Change,
    /// Live tasks that rest for longer than is usual here.
    pub stale: Change,
    /// Tasks alive only in the second snapshot; none for two processes.
    pub new: Option<u64>,
    /// Tasks alive only in the first snapshot; none for two processes.
    pub ended: Option<u64>,
    /// Tasks alive in both; none for two processes.
    pub survived: Option<u64>,
    /// Spawned since start.
    pub spawned: Change,
    /// Returned since start.
    pub done: Change,
    /// Dropped unfinished since start.
    pub cancelled: Change,
    /// Panicked since start.
    pub panicked: Change,
    /// Dropped before the first poll since start.
    pub never_polled: Change,
    /// Of libraries, ended since start, and nobody saw how.
    pub freed: Change,
    /// 99 of 100 ended tasks lived no longer; none if too few ended.
    pub usual_lifetime_ns: Option<u64>,
    /// Age of the live tasks in the second snapshot.
    pub age_ns: Option<SpreadNs>,
    /// Time since the last poll of the live tasks in the second snapshot.
    pub idle_ns: Option<SpreadNs>,
}

/// Smallest, middle and largest of some times, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SpreadNs {
    /// The smallest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The largest.
    pub max: u64,
}

impl From<Spread> for SpreadNs {
    fn from(us: Spread) -> Self {
        let [min, p50, max] = [us.min, us.p50, us.max].map(|us| Micros(us).as_nanos());
        SpreadNs { min, p50, max }
    }
}

pub(super) fn changes(diff: &Diff) -> Vec<SiteChange> {
    let used = |site: &&SiteDiff| site.before.totals.spawned > 0 || site.after.totals.spawned > 0;
    let mut sites: Vec<SiteChange> = diff.tasks.sites.iter().filter(used).map(change).collect();
    // The sort is stable, so equal changes stay in the order of the source code.
    sites.sort_by_key(|site| {
        (std::cmp::Reverse(site.live.delta().unsigned_abs()), std::cmp::Reverse(site.live.after))
    });
    sites
}

fn change(site: &SiteDiff) -> SiteChange {
    let totals = (&site.before.totals, &site.after.totals);
    let moved = |count: fn(Moves) -> u64| site.moves.map(count);
    SiteChange {
        site: site.site.clone(),
        location: site.site.to_string(),
        name: site.site.type_name.clone(),
        kind: site.kind.as_str(),
        live: Change { before: site.before.live, after: site.after.live },
        stale: Change { before: site.before.stale, after: site.after.stale },
        new: moved(|moves| moves.born),
        ended: moved(|moves| moves.ended),
        survived: moved(|moves| moves.survived),
        spawned: Change { before: totals.0.spawned, after: totals.1.spawned },
        done: Change { before: totals.0.done, after: totals.1.done },
        cancelled: Change { before: totals.0.cancelled, after: totals.1.cancelled },
        panicked: Change { before: totals.0.panicked, after: totals.1.panicked },
        never_polled: Change { before: totals.0.never_polled, after: totals.1.never_polled },
        freed: Change { before: totals.0.freed, after: totals.1.freed },
        usual_lifetime_ns: site.usual_lifetime_us.map(|us| Micros(us).as_nanos()),
        age_ns: site.after.age_us.map(SpreadNs::from),
        idle_ns: site.after.idle_us.map(SpreadNs::from),
    }
}

impl SiteChange {
    fn is_of_library(&self) -> bool {
        self.kind == SiteKind::Library.as_str()
    }

    /// How many tasks were spawned, done, cancelled and panicked in between; none for two processes. Who was dropped
    /// before its first poll was cancelled. How those of libraries ended is not known.
    pub fn meanwhile(&self) -> Option<[String; 4]> {
        self.survived?;
        if self.is_of_library() {
            let unknown = || UNKNOWN.to_owned();
            return Some([self.spawned.counted(), unknown(), unknown(), unknown()]);
        }
        let (cancelled, never_polled) = (self.cancelled, self.never_polled);
        let dropped = Change {
            before: cancelled.before.saturating_add(never_polled.before),
            after: cancelled.after.saturating_add(never_polled.after),
        };
        Some([self.spawned, self.done, dropped, self.panicked].map(Change::counted))
    }
}

/// Stands where nobody knows a number.
const UNKNOWN: &str = "?";

/// Heads of the columns that people see.
pub(super) const HEADS: [&str; 9] =
    ["before", "after", "change", "spawned", "done", "cancelled", "panicked", "resting", "spawn site"];

/// The cells under [`HEADS`].
pub(super) fn cells(site: &SiteChange) -> [String; 9] {
    let [spawned, done, cancelled, panicked] =
        site.meanwhile().unwrap_or_else(|| ["-"; 4].map(str::to_owned));
    [
        human::count(site.live.before),
        human::count(site.live.after),
        site.live.signed(),
        spawned,
        done,
        cancelled,
        panicked,
        if site.is_of_library() { UNKNOWN.to_owned() } else { human::count(site.stale.after) },
        format!("{}  {}", site.location, human::name(&site.name)),
    ]
}
