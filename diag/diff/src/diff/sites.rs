//! Spawn sites of two snapshots, joined by what the source code calls them.
//!
//! Indices mean nothing across files, so sites are matched by content. Two builds of a service are
//! matched by file and type name only, because lines move with every edit above them.

use std::collections::BTreeMap;

use diag_analysis::lifetimes::Lifetimes;
use diag_analysis::site::{Site, Totals, sites};
use diag_snapshot::{SiteIndex, SiteKind, Snapshot};

/// A site with what both snapshots say about it.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) site: Site,
    pub(super) kind: SiteKind,
    pub(super) future_bytes: u64,
    pub(super) before: Totals,
    pub(super) after: Totals,
    /// How long ended tasks lived.
    lifetimes: Lifetimes,
    /// The same of either snapshot.
    pub(super) ended: [Lifetimes; 2],
}

/// All sites of two snapshots, and where each row of either went.
pub(super) struct Join {
    /// Ascending by site.
    pub(super) sites: Vec<Joined>,
    pub(super) before: Positions,
    pub(super) after: Positions,
}

/// Position in [`Join::sites`] of each site of one snapshot.
pub(super) struct Positions(Vec<usize>);

impl Positions {
    pub(super) fn of(&self, site: SiteIndex) -> Option<usize> {
        self.0.get(site.0 as usize).copied()
    }

    /// Adds up how many there are of each site in each bucket; by position in [`Join::sites`].
    pub(super) fn by_site(
        &self,
        rows: impl Iterator<Item = (SiteIndex, u32, u64)>,
    ) -> BTreeMap<usize, Lifetimes> {
        let mut times: BTreeMap<usize, Lifetimes> = BTreeMap::new();
        for (site, bucket, count) in rows {
            if let Some(place) = self.of(site) {
                times.entry(place).or_default().add(bucket, count);
            }
        }
        times
    }
}

impl Joined {
    /// The time within which 99 of 100 ended tasks of the site ended, microseconds; none before
    /// `min_ended` of them ended.
    pub(super) fn usual_lifetime_us(&self, min_ended: u64) -> Option<u64> {
        self.lifetimes.within_us(99).filter(|_| self.lifetimes.count() >= min_ended)
    }
}

/// Joins the sites of two snapshots: exactly if they are of one process, else without line numbers.
pub(super) fn join(before: &Snapshot, after: &Snapshot, same_process: bool) -> Join {
    let mut keys = BTreeMap::new();
    for site in sites(after).chain(sites(before)) {
        keys.entry(key(&site, same_process)).or_insert(site);
    }
    let mut joined: Vec<Joined> = keys.values().cloned().map(empty).collect();
    let position: BTreeMap<&Site, usize> = keys.keys().zip(0..).collect();
    let positions = |snapshot: &Snapshot| {
        Positions(
            sites(snapshot).filter_map(|site| position.get(&key(&site, same_process)).copied()).collect(),
        )
    };
    let join_before = positions(before);
    let join_after = positions(after);
    let sides = [(before, &join_before, before_totals as Side), (after, &join_after, after_totals as Side)];
    for (side, (snapshot, places, totals)) in sides.into_iter().enumerate() {
        add_rows(&mut joined, snapshot, places, totals);
        add_lifetimes(&mut joined, snapshot, places, side);
    }
    Join { sites: joined, before: join_before, after: join_after }
}

type Side = fn(&mut Joined) -> &mut Totals;

fn before_totals(joined: &mut Joined) -> &mut Totals {
    &mut joined.before
}

fn after_totals(joined: &mut Joined) -> &mut Totals {
    &mut joined.after
}

fn add_rows(joined: &mut [Joined], snapshot: &Snapshot, places: &Positions, totals: Side) {
    for (row, &place) in snapshot.sites.iter().zip(&places.0) {
        joined[place].future_bytes = joined[place].future_bytes.max(row.future_bytes);
        joined[place].kind = row.kind.unwrap_or(SiteKind::Task);
        totals(&mut joined[place]).add(&row);
    }
}

/// Takes the larger count of every bucket: the counts only rise while a process lives, so this is
/// the later snapshot, whichever of the two that is.
fn add_lifetimes(joined: &mut [Joined], snapshot: &Snapshot, places: &Positions, side: usize) {
    let rows = snapshot.lifetimes.iter().map(|row| (row.site, row.bucket, row.count));
    for (place, ages) in places.by_site(rows) {
        joined[place].lifetimes.raise(&ages);
        joined[place].ended[side] = ages;
    }
}

fn key(site: &Site, same_process: bool) -> Site {
    if same_process { site.clone() } else { Site { line: 0, column: 0, ..site.clone() } }
}

fn empty(site: Site) -> Joined {
    let (before, after) = (Totals::default(), Totals::default());
    Joined {
        site,
        kind: SiteKind::Task,
        future_bytes: 0,
        before,
        after,
        lifetimes: Lifetimes::default(),
        ended: Default::default(),
    }
}
