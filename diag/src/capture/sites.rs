//! Spawn sites as the file has them: twins of one place merged, with the sum over all threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use diag_snapshot::{LifetimeRow, SiteIndex, SiteRow, Strings, Table};

use crate::task::SiteId;
use crate::task::site::{self, Site};
use crate::task::totals::{self, LIFETIME_BUCKETS, Totals};

/// The site table under construction, and which row each recorder's site went to.
pub(super) struct Sites {
    rows: Vec<SiteRow>,
    lifetimes: Vec<[u64; LIFETIME_BUCKETS]>,
    /// By the recorder's number; none for number 0 while no site was too many.
    row_of: Vec<Option<SiteIndex>>,
}

impl Sites {
    /// All sites so far with their totals.
    pub(super) fn collect(strings: &mut Strings) -> Self {
        let mut sites = Sites { rows: Vec::new(), lifetimes: Vec::new(), row_of: Vec::new() };
        let others = (site::overflowed() > 0)
            .then(|| sites.push(empty_row(("(other sites)", 0, 0, "(any)"), 0, strings)));
        sites.row_of.push(others);
        let mut known = HashMap::new();
        for (_, site) in site::all() {
            let identity = identity(&site);
            let row = || sites.push(empty_row(identity, site.future_bytes, strings));
            let row = *known.entry(identity).or_insert_with(row);
            sites.row_of.push(Some(row));
        }
        for shard in totals::all() {
            for id in 0..sites.row_of.len() {
                if let (Some(row), Some(totals)) = (sites.row_of[id], shard.peek(SiteId(id as u32))) {
                    sites.add(row, totals);
                }
            }
        }
        sites
    }

    /// The row of a recorder's site; none if it was registered after [`collect`](Sites::collect).
    pub(super) fn row_of(&self, site: SiteId) -> Option<SiteIndex> {
        self.row_of.get(site.0 as usize).copied().flatten()
    }

    /// The two tables of the file.
    pub(super) fn into_tables(self) -> (Table<SiteRow>, Table<LifetimeRow>) {
        let lifetimes = self.lifetimes.iter().enumerate().flat_map(|(site, buckets)| {
            let used = buckets.iter().enumerate().filter(|(_, count)| **count > 0);
            used.map(move |(bucket, &count)| LifetimeRow {
                site: SiteIndex(site as u32),
                bucket: bucket as u32,
                count,
            })
        });
        (self.rows.iter().copied().collect(), lifetimes.collect())
    }

    fn push(&mut self, row: SiteRow) -> SiteIndex {
        self.rows.push(row);
        self.lifetimes.push([0; LIFETIME_BUCKETS]);
        SiteIndex(self.rows.len() as u32 - 1)
    }

    fn add(&mut self, at: SiteIndex, totals: &Totals) {
        let row = &mut self.rows[at.0 as usize];
        let [done, cancelled, panicked, never_polled] = totals.ended.each_ref().map(value);
        row.spawned += value(&totals.spawned);
        row.done += done;
        row.cancelled += cancelled;
        row.panicked += panicked;
        row.never_polled += never_polled;
        row.polls += value(&totals.polls);
        row.busy_ns += value(&totals.busy_ns);
        row.longest_poll_ns = row.longest_poll_ns.max(value(&totals.longest_poll_ns));
        for (sum, counter) in self.lifetimes[at.0 as usize].iter_mut().zip(&totals.lifetimes) {
            *sum += value(counter);
        }
    }
}

/// Tasks spawned plus tasks ended since start: the difference of two is what came or went.
pub(super) fn spawned_and_ended() -> u64 {
    let ids = 0..=site::all().len() as u32;
    let count = |totals: &Totals| value(&totals.spawned) + totals.ended.iter().map(value).sum::<u64>();
    totals::all().flat_map(|shard| ids.clone().filter_map(move |id| shard.peek(SiteId(id)))).map(count).sum()
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What makes two sites the same to people: file, line, column, type name.
type Identity = (&'static str, u32, u32, &'static str);

fn identity(site: &Site) -> Identity {
    (site.location.file(), site.location.line(), site.location.column(), site.type_name)
}

fn empty_row(
    (file, line, column, type_name): Identity,
    future_bytes: usize,
    strings: &mut Strings,
) -> SiteRow {
    let (file, type_name) = (strings.intern(file), strings.intern(type_name));
    SiteRow::new(file, line, column, type_name, future_bytes as u64)
}
