//! Sockets, channels and what the service has in use, by where they were opened: which of them were left, and what became of those.
//!
//! A socket is *left* in a snapshot when it has been open, and silent, for at least [`Options::stale_factor`] times as long as
//! nearly all that were closed at its place had been open; what the service has in use is left when it is in use for as long. Where hardly any were closed nothing is told of it.

use std::collections::{BTreeMap, BTreeSet};

use diag_analysis::Analysis;
use diag_analysis::site::sites;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{ResourceKind, ResourceRow, ResourceSiteRow, Snapshot, SocketState};

use super::{Births, Lifetimes, Options, Site};

/// A place where sockets or channels are opened, in two snapshots of one process.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResourceDiff {
    /// What is opened.
    pub kind: ResourceKind,
    /// What it is, as the service calls it; none of sockets and channels.
    pub name: Option<String>,
    /// Where.
    pub place: SourceLocation,
    /// Where most of the tasks were spawned that open here, as far as that is known.
    pub opener: Option<Site>,
    /// In the first snapshot.
    pub before: ResourceSide,
    /// In the second snapshot.
    pub after: ResourceSide,
    /// 99 of 100 that were closed had been open no longer, microseconds; none before [`Options::min_ended`] were.
    pub usual_us: Option<u64>,
    /// Of those that were left in the first snapshot, so many are so still.
    pub stayed: u64,
    /// Sockets that only the other side has closed, in both snapshots.
    pub half_closed_in_both: u64,
}

/// What is open at a place in one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ResourceSide {
    /// How many are open.
    pub open: u64,
    /// How many were closed since start.
    pub closed: u64,
    /// How many were left.
    pub left: u64,
    /// When those were opened.
    pub births: Births,
    /// The shortest silence of those, microseconds.
    pub least_silence_us: u64,
    /// Sockets that only the other side has closed.
    pub half_closed: u64,
    /// Messages in all channels, if that is known.
    pub queued: Option<u64>,
}

type Key = (ResourceKind, Option<String>, SourceLocation);

/// All places of either snapshot, of one process.
pub(super) fn resources(before: &Analysis, after: &Analysis, options: Options) -> Vec<ResourceDiff> {
    let (before, after) = (before.snapshot(), after.snapshot());
    let (was, is) = (Places::of(before), Places::of(after));
    let lifetimes = is.lifetimes(after);
    let keys: BTreeSet<&Key> = was.keys.iter().chain(&is.keys).collect();
    let openers = is.openers(after);
    let diff = |key: &Key| {
        let closed = lifetimes.get(key).filter(|closed| closed.count() >= options.min_ended);
        let usual_us = closed.and_then(|closed| closed.within_us(99));
        let left_after_us = usual_us.map(|usual| (usual as f64 * options.stale_factor) as u64);
        let (first, second) = (was.rows(before, key), is.rows(after, key));
        let half_closed = |rows: &[ResourceRow]| -> BTreeSet<u64> {
            rows.iter().filter(|row| is_half_closed(row)).map(|row| row.id).collect()
        };
        let left = |rows: &[ResourceRow], now_us: u64| -> BTreeSet<u64> {
            let left = rows.iter().filter(|row| left_for_us(key.0, row, now_us, left_after_us).is_some());
            left.map(|row| row.id).collect()
        };
        let still = left(&second, after.capture.to_us);
        ResourceDiff {
            kind: key.0,
            name: key.1.clone(),
            place: key.2.clone(),
            opener: openers.get(key).cloned(),
            before: ResourceSide::of(
                key.0,
                &first,
                was.closed(before, key),
                before.capture.to_us,
                left_after_us,
            ),
            after: ResourceSide::of(
                key.0,
                &second,
                is.closed(after, key),
                after.capture.to_us,
                left_after_us,
            ),
            usual_us,
            stayed: left(&first, before.capture.to_us).intersection(&still).count() as u64,
            half_closed_in_both: half_closed(&first).intersection(&half_closed(&second)).count() as u64,
        }
    };
    keys.into_iter().map(diff).collect()
}

impl ResourceSide {
    fn of(
        kind: ResourceKind,
        rows: &[ResourceRow],
        closed: u64,
        now_us: u64,
        left_after_us: Option<u64>,
    ) -> Self {
        let left = rows.iter().filter_map(|row| Some((row, left_for_us(kind, row, now_us, left_after_us)?)));
        let (ages_us, silences_us): (Vec<u64>, Vec<u64>) =
            left.map(|(row, silence_us)| (now_us.saturating_sub(row.opened_us), silence_us)).unzip();
        let queued = rows.iter().filter_map(|row| row.queued);
        ResourceSide {
            open: rows.len() as u64,
            closed,
            left: ages_us.len() as u64,
            births: Births::of(&ages_us, left_after_us.unwrap_or(0)),
            least_silence_us: silences_us.into_iter().min().unwrap_or(0),
            half_closed: rows.iter().filter(|row| is_half_closed(row)).count() as u64,
            queued: queued
                .fold(None, |sum: Option<u64>, queued| Some(sum.unwrap_or(0).saturating_add(queued))),
        }
    }
}

fn is_half_closed(row: &ResourceRow) -> bool {
    row.state == Some(SocketState::CloseWait)
}

/// For how long it has been silent, or in use, if that is long enough; what talks by datagrams is silent since it was opened, as far
/// as is known, and is left out.
fn left_for_us(
    kind: ResourceKind,
    row: &ResourceRow,
    now_us: u64,
    left_after_us: Option<u64>,
) -> Option<u64> {
    let age_us = now_us.saturating_sub(row.opened_us);
    let silence_us = match kind {
        ResourceKind::InUse => age_us,
        _ => row.idle_us?.min(age_us),
    };
    left_after_us.filter(|&least| silence_us >= least).map(|_| silence_us)
}

/// Where each row of the site table of one snapshot is.
struct Places {
    keys: Vec<Key>,
    rows: BTreeMap<u32, Vec<u32>>,
}

impl Places {
    fn of(snapshot: &Snapshot) -> Self {
        let mut rows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (row, site) in (0..).zip(snapshot.resources.site().iter()) {
            rows.entry(site.0).or_default().push(row);
        }
        Places { keys: snapshot.resource_sites.iter().map(|site| key(snapshot, &site)).collect(), rows }
    }

    /// The rows of the site table that have this key: one, as a rule.
    fn sites<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = u32> + 'a {
        (0..).zip(&self.keys).filter(move |(_, known)| *known == key).map(|(site, _)| site)
    }

    fn rows(&self, snapshot: &Snapshot, key: &Key) -> Vec<ResourceRow> {
        let rows = self.sites(key).filter_map(|site| self.rows.get(&site)).flatten();
        rows.filter_map(|&row| snapshot.resources.get(row as usize)).collect()
    }

    fn closed(&self, snapshot: &Snapshot, key: &Key) -> u64 {
        let closed = self.sites(key).filter_map(|site| snapshot.resource_sites.get(site as usize));
        closed.map(|site| site.closed).fold(0, u64::saturating_add)
    }

    fn lifetimes(&self, snapshot: &Snapshot) -> BTreeMap<&Key, Lifetimes> {
        let mut lifetimes: BTreeMap<&Key, Lifetimes> = BTreeMap::new();
        for row in snapshot.resource_ages.iter() {
            if let Some(key) = self.keys.get(row.site.0 as usize) {
                lifetimes.entry(key).or_default().add(row.bucket, row.count);
            }
        }
        lifetimes
    }

    fn openers(&self, snapshot: &Snapshot) -> BTreeMap<&Key, Site> {
        let all: Vec<Site> = sites(snapshot).collect();
        let opener = |site: ResourceSiteRow| all.get(site.opener?.0 as usize).cloned();
        let openers = self.keys.iter().zip(snapshot.resource_sites.iter());
        openers.filter_map(|(key, site)| Some((key, opener(site)?))).collect()
    }
}

fn key(snapshot: &Snapshot, site: &ResourceSiteRow) -> Key {
    let name = |name| snapshot.strings.show(name);
    let place = SourceLocation {
        function: site.function.map_or("", name).trim_end_matches("::{{closure}}").into(),
        file: site.file.map(|file| name(file).into()),
        line: site.line,
    };
    (site.kind, site.name.map(|called| name(called).to_owned()), place)
}
