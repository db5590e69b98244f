//! Sockets, channels and what the service has in use, by where they were opened: which of them were left, and what became of those.
//!
//! A socket is *left* in a snapshot when it has been open, and silent, for at least [`Options::stale_factor`] times as long as
//! nearly all that were closed at its place had been open; what the service has in use is left when it is in use for as long. Where hardly any were closed nothing is told of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diag_analysis::Analysis;
use diag_analysis::site::sites;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{
    ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, ResourceState, Snapshot, SocketState,
    TaskId,
};

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
    /// Of those that are left in the second snapshot, so many were so a usual lifetime before it already.
    pub left_for_longer: u64,
    /// So many that were closed in between had been open for about as long as what is left, or for longer.
    pub closed_late: u64,
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
    /// The shortest silence of those, microseconds; none without any.
    pub least_silence_us: Option<u64>,
    /// Sockets that only the other side has closed.
    pub half_closed: u64,
    /// Messages in all channels, if that is known.
    pub queued: Option<u64>,
    /// Live tasks that opened one of what the service has in use, or that such a task spawned and may have handed it to; none
    /// where it is not known of most who opened them, nor of sockets and channels.
    pub holders: Option<u64>,
}

type Key = (ResourceKind, Option<String>, SourceLocation);

/// All places of either snapshot, of one process.
pub(super) fn resources(before: &Analysis, after: &Analysis, options: Options) -> Vec<ResourceDiff> {
    let (was, is) = (Places::of(before.snapshot()), Places::of(after.snapshot()));
    let (no_place, keys) = (Place::default(), was.0.keys().chain(is.0.keys()));
    let diff = |key: &Key| {
        let [was, is] = [&was, &is].map(|places| places.0.get(key).unwrap_or(&no_place));
        let usual_us = Some(&is.lifetimes).filter(|closed| closed.count() >= options.min_ended);
        let usual_us = usual_us.and_then(|closed| closed.within_us(99));
        let left_after_us = usual_us.map(|usual| (usual as f64 * options.stale_factor) as u64);
        let seen = |place, member: &Analysis, left_after_us| {
            Seen::of(key.0, place, member.snapshot().capture.to_us, left_after_us)
        };
        let [first, second] =
            [(was, before), (is, after)].map(|(place, member)| seen(place, member, left_after_us));
        let longer_us = left_after_us.zip(usual_us).map(|(left, usual)| left.saturating_add(usual));
        // A bucket counts whole if any of it may have been open for as long.
        let late = left_after_us
            .map(|left| is.lifetimes.since(&was.lifetimes).count_from(diag_snapshot::Micros(left / 2)));
        let in_both =
            |ids: fn(&Seen) -> &BTreeSet<u64>| ids(&first).intersection(ids(&second)).count() as u64;
        ResourceDiff {
            kind: key.0,
            name: key.1.clone(),
            place: key.2.clone(),
            opener: is.opener.clone(),
            usual_us,
            stayed: in_both(|seen| &seen.left),
            left_for_longer: longer_us.map_or(0, |_| seen(is, after, longer_us).side.left),
            closed_late: late.unwrap_or(0),
            half_closed_in_both: in_both(|seen| &seen.half_closed),
            before: first.side,
            after: second.side,
        }
    };
    keys.collect::<BTreeSet<&Key>>().into_iter().map(diff).collect()
}

/// A place in one snapshot, with the ids of what stands out there.
struct Seen {
    side: ResourceSide,
    left: BTreeSet<u64>,
    half_closed: BTreeSet<u64>,
}

impl Seen {
    fn of(kind: ResourceKind, place: &Place, now_us: u64, left_after_us: Option<u64>) -> Self {
        let rows = &place.rows;
        let left: Vec<(&ResourceRow, u64)> = rows
            .iter()
            .filter_map(|row| Some((row, left_for_us(kind, row, now_us, left_after_us)?)))
            .collect();
        let ages_us: Vec<u64> = left.iter().map(|(row, _)| now_us.saturating_sub(row.opened_us)).collect();
        let half_closed: BTreeSet<u64> =
            rows.iter().filter(|row| is_half_closed(row)).map(|row| row.id).collect();
        let queued = rows.iter().filter_map(|row| row.queued);
        let side = ResourceSide {
            open: rows.len() as u64,
            closed: place.closed,
            left: left.len() as u64,
            births: Births::of(&ages_us, left_after_us.unwrap_or(0)),
            least_silence_us: left.iter().map(|(_, silence_us)| *silence_us).min(),
            half_closed: half_closed.len() as u64,
            queued: queued
                .fold(None, |sum: Option<u64>, queued| Some(sum.unwrap_or(0).saturating_add(queued))),
            holders: place.holders,
        };
        Seen { side, left: left.iter().map(|(row, _)| row.id).collect(), half_closed }
    }
}

fn somebody_has(row: &ResourceRow) -> bool {
    row.in_state.is_none_or(|state| state == ResourceState::InUse)
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
    // What a pool keeps, and nobody has, is not left.
    if !somebody_has(row) {
        return None;
    }
    let silence_us = match kind {
        ResourceKind::InUse | ResourceKind::Value => age_us,
        _ => row.idle_us?.min(age_us),
    };
    left_after_us.filter(|&least| silence_us >= least).map(|_| silence_us)
}

/// What one snapshot has of a place.
#[derive(Default)]
struct Place {
    rows: Vec<ResourceRow>,
    closed: u64,
    lifetimes: Lifetimes,
    opener: Option<Site>,
    holders: Option<u64>,
}

impl Place {
    /// The tasks that opened what somebody has; none if most are not known.
    fn openers(&self) -> Option<BTreeSet<TaskId>> {
        let held = || self.rows.iter().filter(|row| somebody_has(row));
        let known = held().filter(|row| row.opener.is_some()).count();
        (known > 0 && known * 2 >= held().count()).then(|| held().filter_map(|row| row.opener).collect())
    }
}

/// The places of one snapshot.
struct Places(BTreeMap<Key, Place>);

impl Places {
    fn of(snapshot: &Snapshot) -> Self {
        let openers: Vec<Site> = sites(snapshot).collect();
        let mut keys = Vec::with_capacity(snapshot.resource_sites.len());
        let mut places: BTreeMap<Key, Place> = BTreeMap::new();
        for site in snapshot.resource_sites.iter() {
            let key = key(snapshot, &site);
            let place = places.entry(key.clone()).or_default();
            place.closed = place.closed.saturating_add(site.closed);
            let opener = site.opener.and_then(|opener| openers.get(opener.0 as usize));
            place.opener = opener.cloned().or(place.opener.take());
            keys.push(key);
        }
        let mut place_of = |site: ResourceSiteIndex, add: &dyn Fn(&mut Place)| {
            keys.get(site.0 as usize).and_then(|key| places.get_mut(key)).into_iter().for_each(add);
        };
        for row in snapshot.resources.iter() {
            place_of(row.site, &|place| place.rows.push(row));
        }
        for row in snapshot.resource_ages.iter() {
            place_of(row.site, &|place| place.lifetimes.add(row.bucket, row.count));
        }
        add_holders(&mut places, snapshot);
        Places(places)
    }
}

/// Counts the tasks of each place that may hold what is in use there. One pass over all tasks, and none where nothing is in use.
fn add_holders(places: &mut BTreeMap<Key, Place>, snapshot: &Snapshot) {
    let mut opened: HashMap<TaskId, Vec<usize>> = HashMap::new();
    let mut counts: Vec<&mut u64> = Vec::new();
    for ((kind, ..), place) in places {
        if !matches!(kind, ResourceKind::InUse | ResourceKind::Value) {
            continue;
        }
        let Some(openers) = place.openers() else { continue };
        for opener in openers {
            opened.entry(opener).or_default().push(counts.len());
        }
        counts.push(place.holders.insert(0));
    }
    if opened.is_empty() {
        return;
    }
    for (id, parent) in snapshot.tasks.id().iter().zip(snapshot.tasks.parent().iter()) {
        let own = opened.get(&id).into_iter().flatten();
        let handed = parent.and_then(|parent| opened.get(&parent)).into_iter().flatten();
        // One that opened there itself, and whose parent did, is one task.
        let handed = handed.filter(|&i| !opened.get(&id).is_some_and(|own| own.contains(i)));
        for &i in own.chain(handed) {
            *counts[i] += 1;
        }
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
