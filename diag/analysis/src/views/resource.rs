//! Where sockets and channels are opened, with those that are open.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_snapshot::{ResourceKind, ResourceRow, ResourceSiteRow, ResourceState, Snapshot};
use serde::Serialize;

use super::{RangeNs, SiteRef, ns};
use crate::Analysis;
use crate::human::{bytes, count, counted, duration, name};
use crate::lifetimes::Lifetimes;

/// So many of the other sides are told.
const PEERS: usize = 3;

/// A place where sockets or channels are opened, with those that are open and its totals since start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResourceSiteView {
    /// Its place in the snapshot.
    pub index: u32,
    /// What is opened, in a word or two.
    pub kind: &'static str,
    /// What it is, as the service calls it; none of sockets and channels.
    pub name: Option<String>,
    /// `file:line`, safe to print.
    pub location: String,
    /// The function of that line, without the `{{closure}}` that every `async fn` ends in; none if it is not known.
    pub function: Option<String>,
    /// Where most of the tasks were spawned that open here, as far as that is known.
    pub opener: Option<SiteRef>,
    /// How many are open.
    pub open: u64,
    /// How many were opened, as far as that was seen: those that were open at a capture, and all since then.
    pub opened: u64,
    /// How many were closed.
    pub closed: u64,
    /// How many are in each state, of what a pool keeps.
    pub pool_states: Vec<StateView>,
    /// How many live beyond the time by which they were to be dropped.
    pub overdue: u64,
    /// Age of the oldest that is open.
    pub oldest_ns: Option<u64>,
    /// 99 % of those that were closed were open for no longer.
    pub closed_within_ns: Option<u64>,
    /// How many are in each state, of TCP sockets.
    pub states: Vec<StateView>,
    /// How many have each other side, the most frequent first: by address and port, or by address alone where ports differ. Three at
    /// most.
    pub peers: Vec<PeerView>,
    /// For how long neither side has sent anything, of TCP connections.
    pub idle_ns: Option<RangeNs>,
    /// What has come and was not read, together.
    pub unread_bytes: Option<u64>,
    /// What was written and not taken by the other side, together.
    pub unsent_bytes: Option<u64>,
    /// Messages in the channels, together.
    pub queued: Option<u64>,
    /// Messages in the fullest of them.
    pub most_queued: Option<u64>,
    /// Messages sent into them so far.
    pub sent: Option<u64>,
    /// Channels that lack their receiver.
    pub without_receiver: u64,
    /// Channels that lack a sender.
    pub without_sender: u64,
}

/// How many resources are in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateView {
    /// The state; of a socket by the names of `tcp(7)`.
    pub state: &'static str,
    /// How many are in it.
    pub open: u64,
}

/// The other side of some sockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PeerView {
    /// Its address, safe to print.
    pub peer: String,
    /// How many sockets have it.
    pub open: u64,
}

/// How many sockets and channels are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceCounts {
    /// By kind.
    pub(crate) open: BTreeMap<&'static str, u64>,
    /// Messages in all channels; none without a channel.
    pub(crate) queued: Option<u64>,
}

impl Analysis {
    /// How many there are; of no kind if none is known.
    pub(crate) fn resource_counts(&self) -> ResourceCounts {
        let snapshot = self.snapshot();
        let mut counts = ResourceCounts::default();
        for row in snapshot.resources.iter() {
            let Some(site) = snapshot.resource_sites.get(row.site.0 as usize) else { continue };
            *counts.open.entry(site.kind.as_str()).or_default() += 1;
            let queued = row.queued.map(|queued| counts.queued.unwrap_or(0).saturating_add(queued));
            counts.queued = queued.or(counts.queued);
        }
        counts
    }

    /// Returns where sockets and channels are opened, the place with the most that are open first. Places where none is open are
    /// left out.
    pub fn resource_site_views(&self) -> Vec<ResourceSiteView> {
        let snapshot = self.snapshot();
        let mut of_site: BTreeMap<u32, Vec<ResourceRow>> = BTreeMap::new();
        snapshot.resources.iter().for_each(|row| of_site.entry(row.site.0).or_default().push(row));
        let mut ages: BTreeMap<u32, Lifetimes> = BTreeMap::new();
        for row in snapshot.resource_ages.iter() {
            ages.entry(row.site.0).or_default().add(row.bucket, row.count);
        }
        let view = |(index, rows): (&u32, &Vec<ResourceRow>)| {
            let site = snapshot.resource_sites.get(*index as usize)?;
            Some(ResourceSiteView::of(snapshot, *index, &site, rows, ages.get(index)))
        };
        let mut views: Vec<ResourceSiteView> = of_site.iter().filter_map(view).collect();
        views.sort_by(|a, b| (b.open, &a.location, a.kind).cmp(&(a.open, &b.location, b.kind)));
        views
    }
}

impl ResourceSiteView {
    fn of(
        snapshot: &Snapshot,
        index: u32,
        site: &ResourceSiteRow,
        rows: &[ResourceRow],
        ages: Option<&Lifetimes>,
    ) -> Self {
        let now_us = snapshot.capture.to_us;
        let sum = |value: fn(&ResourceRow) -> Option<u64>| {
            rows.iter()
                .filter_map(value)
                .fold(None, |sum: Option<u64>, value| Some(sum.unwrap_or(0).saturating_add(value)))
        };
        let mut states: BTreeMap<&'static str, u64> = BTreeMap::new();
        for state in rows.iter().filter_map(|row| row.state) {
            *states.entry(state.as_str()).or_default() += 1;
        }
        let mut pool_states: BTreeMap<&'static str, u64> = BTreeMap::new();
        for state in rows.iter().filter_map(|row| row.in_state) {
            *pool_states.entry(state.as_str()).or_default() += 1;
        }
        let location = site
            .file
            .map(|file| diag_snapshot::location(snapshot.strings.show(file), site.line.unwrap_or(0), 0));
        let lacks = |is_so: fn(&ResourceRow) -> bool| rows.iter().filter(|row| is_so(row)).count() as u64;
        ResourceSiteView {
            index,
            kind: site.kind.as_str(),
            name: site.name.map(|called| name(snapshot.strings.show(called))),
            location: location.map_or("(opened at an unknown place)".to_owned(), |location| name(&location)),
            function: site
                .function
                .map(|function| name(snapshot.strings.show(function).trim_end_matches("::{{closure}}"))),
            opener: site.opener.map(|opener| SiteRef::new(snapshot, opener)),
            open: rows.len() as u64,
            opened: site.opened,
            closed: site.closed,
            oldest_ns: rows.iter().map(|row| row.opened_us).min().map(|us| ns(now_us.saturating_sub(us))),
            closed_within_ns: ages.and_then(|ages| ages.within_us(99)).map(ns),
            pool_states: pool_states.into_iter().map(|(state, open)| StateView { state, open }).collect(),
            overdue: rows.iter().filter(|row| row.due_us.is_some_and(|due_us| due_us < now_us)).count()
                as u64,
            states: states.into_iter().map(|(state, open)| StateView { state, open }).collect(),
            peers: peers(snapshot, rows),
            idle_ns: RangeNs::of(rows.iter().filter_map(|row| row.idle_us).map(ns)),
            unread_bytes: sum(|row| row.unread_bytes),
            unsent_bytes: sum(|row| row.unsent_bytes),
            queued: sum(|row| row.queued),
            most_queued: rows.iter().filter_map(|row| row.queued).max(),
            sent: sum(|row| row.sent),
            without_receiver: lacks(|row| row.has_receiver == Some(false)),
            without_sender: lacks(|row| row.senders == Some(0)),
        }
    }
}

/// The most frequent other sides: by address and port, or by address alone where hardly two have one port.
fn peers(snapshot: &Snapshot, rows: &[ResourceRow]) -> Vec<PeerView> {
    let all: Vec<&str> = rows.iter().filter_map(|row| Some(snapshot.strings.show(row.peer?))).collect();
    let count_each = |names: &mut dyn Iterator<Item = &str>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        names.for_each(|peer| *counts.entry(name(peer)).or_default() += 1);
        counts
    };
    let mut counts = count_each(&mut all.iter().copied());
    if counts.len() * 2 > all.len() {
        counts = count_each(&mut all.iter().map(|peer| without_port(peer)));
    }
    let mut peers: Vec<PeerView> = counts.into_iter().map(|(peer, open)| PeerView { peer, open }).collect();
    peers.sort_by_key(|peer| Reverse(peer.open));
    peers.truncate(PEERS);
    peers
}

/// `[::1]` of `[::1]:80`; what has no port as it is.
fn without_port(peer: &str) -> &str {
    match peer.rsplit_once(':') {
        Some((address, port)) if port.parse::<u16>().is_ok() => address,
        _ => peer,
    }
}

impl ResourceSiteView {
    /// What is known of those that are open: `49 sockets, 1 close-wait, oldest 3 s, idle 2 s..3 s, 40 B unread`.
    pub fn sentence(&self) -> String {
        // That all are connected is what one expects.
        let states = self.states.iter().filter(|state| state.state != "established" || self.states.len() > 1);
        let pooled = self.pool_states.iter().filter(|_| !self.is_all_in_use());
        let states = states.chain(pooled);
        let states: Vec<String> =
            states.map(|state| format!("{} {}", count(state.open), state.state)).collect();
        let size = |size: Option<u64>, what: &str| {
            size.filter(|&size| size > 0).map(|size| format!("{} {what}", bytes(size)))
        };
        let number = |number: u64, what: &str| (number > 0).then(|| format!("{} {what}", count(number)));
        let queued = self.queued.filter(|&queued| queued > 0).map(|queued| {
            let most = self.most_queued.filter(|&most| most < queued);
            let most = most.map(|most| format!(" (at most {} in one)", count(most))).unwrap_or_default();
            format!("{} queued{most}", counted(queued, "message"))
        });
        let facts = [
            Some(self.counted()),
            (!states.is_empty()).then(|| states.join(", ")),
            number(self.overdue, "overdue"),
            self.oldest_ns.map(|age| format!("oldest {}", duration(age))),
            self.idle_ns.map(|idle| format!("idle {idle}")),
            size(self.unread_bytes, "unread"),
            size(self.unsent_bytes, "not taken by the other side"),
            queued,
            number(self.without_receiver, "without receiver"),
            number(self.without_sender, "without sender"),
        ];
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// How many are open: `49 sockets`, `3 db connections in use`.
    fn counted(&self) -> String {
        match &self.name {
            // What a pool keeps is in several states, and a value in none.
            Some(name) if self.is_all_in_use() => format!("{} {}", counted(self.open, name), self.kind),
            Some(name) => counted(self.open, name),
            None => counted(self.open, self.kind),
        }
    }

    fn is_all_in_use(&self) -> bool {
        let is_kind = self.kind == ResourceKind::InUse.as_str();
        is_kind && self.pool_states.iter().all(|state| state.state == ResourceState::InUse.as_str())
    }

    /// Function and line: `hub::dial at src/hub.rs:7`.
    pub fn place(&self) -> String {
        match &self.function {
            Some(function) => format!("{function} at {}", self.location),
            None => self.location.clone(),
        }
    }

    /// The other sides: `to 10.0.0.7:5432 (40), 10.0.0.8:5432 (9)`; empty if none is known.
    pub fn to_whom(&self) -> String {
        let peers: Vec<String> =
            self.peers.iter().map(|peer| format!("{} ({})", peer.peer, count(peer.open))).collect();
        if peers.is_empty() { String::new() } else { format!("to {}", peers.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{Protocol, ResourceAgeRow, ResourceSiteIndex, SocketState};

    use super::*;

    fn site(snapshot: &mut Snapshot, kind: ResourceKind, line: u32) -> ResourceSiteIndex {
        let [file, function] = ["src/hub.rs", "hub::dial"].map(|name| Some(snapshot.strings.intern(name)));
        let (opened, closed) = (10, 6);
        let row = ResourceSiteRow {
            kind,
            file,
            line: Some(line),
            function,
            opened,
            closed,
            ..ResourceSiteRow::default()
        };
        snapshot.resource_sites.push(row);
        ResourceSiteIndex(snapshot.resource_sites.len() as u32 - 1)
    }

    #[test]
    fn sockets_of_a_place_are_told_together() {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 60_000_000;
        let of_sockets = site(&mut snapshot, ResourceKind::Socket, 7);
        snapshot.resource_ages.push(ResourceAgeRow { site: of_sockets, bucket: 9, count: 6 });
        for id in 0..4 {
            let peer = Some(snapshot.strings.intern(&format!("10.0.0.{}:{}", id / 3, 40_000 + id)));
            snapshot.resources.push(ResourceRow {
                id,
                site: of_sockets,
                opened_us: 1_000_000 * id,
                protocol: Some(Protocol::Tcp),
                state: Some(if id == 2 { SocketState::CloseWait } else { SocketState::Established }),
                peer,
                idle_us: Some(1_000_000 + id * 2_000_000),
                unread_bytes: Some(100),
                ..ResourceRow::default()
            });
        }
        let views = Analysis::new(snapshot).resource_site_views();
        let [view] = &views[..] else { panic!("{views:#?}") };
        let expected = "4 sockets, 1 close-wait, 3 established, oldest 1 min, idle 1 s..7 s, 400 B unread";
        assert_eq!(view.sentence(), expected);
        assert_eq!(view.to_whom(), "to 10.0.0.0 (3), 10.0.0.1 (1)", "each has another port");
        assert_eq!((view.opened, view.closed, view.closed_within_ns), (10, 6, Some(1_024_000_000)));
    }

    #[test]
    fn what_the_service_has_in_use_is_told_by_its_name() {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 60_000_000;
        let site = site(&mut snapshot, ResourceKind::InUse, 7);
        let name = Some(snapshot.strings.intern("db connection"));
        snapshot.resource_sites =
            snapshot.resource_sites.iter().map(|row| ResourceSiteRow { name, ..row }).collect();
        for id in 0..3 {
            snapshot.resources.push(ResourceRow {
                id,
                site,
                opened_us: 50_000_000,
                ..ResourceRow::default()
            });
        }
        let views = Analysis::new(snapshot).resource_site_views();
        assert_eq!(views[0].sentence(), "3 db connections in use, oldest 10 s");
    }

    #[test]
    fn channels_of_a_place_are_told_together() {
        let mut snapshot = Snapshot::default();
        let of_none = site(&mut snapshot, ResourceKind::Channel, 8);
        let of_channels = site(&mut snapshot, ResourceKind::Channel, 9);
        assert_ne!(of_none, of_channels);
        for (id, queued) in [(1, 70), (2, 5)] {
            let (has_receiver, senders) = (Some(id == 1), Some(2));
            let row = ResourceRow {
                id,
                site: of_channels,
                queued: Some(queued),
                senders,
                has_receiver,
                ..ResourceRow::default()
            };
            snapshot.resources.push(row);
        }
        let views = Analysis::new(snapshot).resource_site_views();
        let [view] = &views[..] else { panic!("where none is open is left out: {views:#?}") };
        let expected = "2 channels, oldest 0 ns, 75 messages queued (at most 70 in one), 1 without receiver";
        assert_eq!((view.sentence().as_str(), view.to_whom().as_str()), (expected, ""));
    }
}
