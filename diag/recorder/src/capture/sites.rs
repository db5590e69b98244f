//! Spawn sites as the file has them: twins of one place merged, with the sum over all threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use diag_snapshot::{LifetimeRow, PollDelayRow, PollTimeRow, SiteIndex, SiteKind, SiteRow, Strings, Table};

use super::cell;
use crate::task::SiteId;
use crate::task::site::{self, Kind, Site};
use crate::task::totals::{self, DELAY_BUCKETS, LIFETIME_BUCKETS, POLL_TIME_BUCKETS, Totals};

/// The site table under construction, and which row each recorder's site went to.
#[derive(Default)]
pub(super) struct Sites {
    rows: Vec<SiteRow>,
    histograms: Vec<Histograms>,
    /// By the recorder's number; none for number 0 while no site was too many.
    row_of: Vec<Option<SiteIndex>>,
}

/// The histograms of one site.
#[derive(Default)]
struct Histograms {
    lifetimes: [u64; LIFETIME_BUCKETS],
    poll_times: [u64; POLL_TIME_BUCKETS],
    delays: [u64; DELAY_BUCKETS],
}

impl Sites {
    /// All sites so far with their totals.
    pub(super) fn collect(strings: &mut Strings) -> Self {
        let mut sites = Sites::default();
        let others = (site::overflowed() > 0)
            .then(|| sites.push(empty_row(("(other sites)", 0, 0, "(any)"), 0, strings)));
        sites.row_of.push(others);
        let mut known = HashMap::new();
        for (id, site) in site::all() {
            let identity = identity(&site);
            let kind = Some(kind(site.kind));
            let row = || sites.push(SiteRow { kind, ..empty_row(identity, site.code.bytes, strings) });
            let row = *known.entry(identity).or_insert_with(row);
            // A number that nobody got has no row.
            sites.row_of.resize(id.0 as usize, None);
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

    /// One of its tasks lives: so it was spawned. Spawning itself counts for no site, as it is the
    /// hot path; whoever ended is in the totals.
    pub(super) fn count_alive(&mut self, site: SiteIndex) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.spawned += 1;
        }
    }

    /// One of its tasks has ended, nobody saw how, and it is not freed yet.
    #[cfg(samples_heap)]
    pub(super) fn count_held(&mut self, site: SiteIndex) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.spawned += 1;
            row.freed = Some(row.freed.unwrap_or(0) + 1);
        }
    }

    /// So many of its tasks were freed, by powers of two of milliseconds that they lived.
    #[cfg(samples_heap)]
    pub(super) fn count_freed(&mut self, site: SiteIndex, ages: &[u64; LIFETIME_BUCKETS]) {
        let freed: u64 = ages.iter().sum();
        if let (Some(row), Some(histograms)) =
            (self.rows.get_mut(site.0 as usize), self.histograms.get_mut(site.0 as usize))
        {
            row.spawned += freed;
            row.freed = Some(row.freed.unwrap_or(0) + freed);
            histograms.lifetimes.iter_mut().zip(ages).for_each(|(sum, count)| *sum += count);
        }
    }

    /// The cells of its tasks have at least so many bytes.
    #[cfg(samples_heap)]
    pub(super) fn raise_future_bytes(&mut self, site: SiteIndex, bytes: u64) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.future_bytes = row.future_bytes.max(bytes);
        }
    }

    /// Most of its tasks are spawned by tasks of that site.
    #[cfg(samples_heap)]
    pub(super) fn set_spawner(&mut self, site: SiteIndex, spawner: SiteIndex) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.spawner = Some(spawner);
        }
    }

    /// True if what is polled there holds up a worker: a task, and no closure that is meant to block.
    pub(super) fn is_polled_by_worker(&self, site: SiteId) -> bool {
        let row = self.row_of(site).and_then(|site| self.rows.get(site.0 as usize));
        row.is_some_and(|row| matches!(row.kind, Some(SiteKind::Task | SiteKind::Local)))
    }

    /// At least so much memory is kept of an ended task of this site.
    pub(super) fn cell_bytes(&self, site: SiteIndex) -> Option<u64> {
        self.rows.get(site.0 as usize).map(|row| cell::ended_bytes(row.kind, row.future_bytes))
    }

    /// The size of the futures of a site.
    #[cfg(samples_heap)]
    pub(super) fn future_bytes(&self, site: SiteId) -> Option<u64> {
        let row = self.rows.get(self.row_of(site)?.0 as usize)?;
        Some(row.future_bytes).filter(|&bytes| bytes > 0)
    }

    /// How long tasks lived.
    pub(super) fn lifetimes(&self) -> Table<LifetimeRow> {
        let rows = used(&self.histograms, |histograms| &histograms.lifetimes);
        rows.map(|(site, bucket, count)| LifetimeRow { site, bucket, count }).collect()
    }

    /// How long polls took.
    pub(super) fn poll_times(&self) -> Table<PollTimeRow> {
        let rows = used(&self.histograms, |histograms| &histograms.poll_times);
        rows.map(|(site, bucket, count)| PollTimeRow { site, bucket, count }).collect()
    }

    /// How long woken tasks waited.
    pub(super) fn poll_delays(&self) -> Table<PollDelayRow> {
        let rows = used(&self.histograms, |histograms| &histograms.delays);
        rows.map(|(site, bucket, count)| PollDelayRow { site, bucket, count }).collect()
    }

    /// The sites themselves.
    pub(super) fn into_rows(self) -> Table<SiteRow> {
        self.rows.into_iter().collect()
    }

    pub(super) fn push(&mut self, row: SiteRow) -> SiteIndex {
        self.rows.push(row);
        self.histograms.push(Histograms::default());
        SiteIndex(self.rows.len() as u32 - 1)
    }

    fn add(&mut self, at: SiteIndex, totals: &Totals) {
        let row = &mut self.rows[at.0 as usize];
        let [done, cancelled, panicked, never_polled] = totals.ended.each_ref().map(value);
        row.spawned += done + cancelled + panicked + never_polled;
        row.done += done;
        row.cancelled += cancelled;
        row.panicked += panicked;
        row.never_polled += never_polled;
        row.polls += value(&totals.polls);
        row.busy_ns += value(&totals.busy_ns);
        row.longest_poll_ns = row.longest_poll_ns.max(value(&totals.longest_poll_ns));
        row.rescued = Some(row.rescued.unwrap_or(0) + value(&totals.recovered));
        let wakers = row.recovered_wakers.unwrap_or(0);
        row.recovered_wakers = Some(wakers.saturating_add(value(&totals.recovered_wakers)));
        let idle_us = value(&totals.recovered_idle_ns) / 1_000;
        row.recovered_idle_us = Some(row.recovered_idle_us.unwrap_or(0).max(idle_us));
        let histograms = &mut self.histograms[at.0 as usize];
        sum(&mut histograms.lifetimes, &totals.lifetimes);
        sum(&mut histograms.poll_times, &totals.poll_times);
        sum(&mut histograms.delays, &totals.delays);
    }
}

fn sum<const N: usize>(sums: &mut [u64; N], counters: &[AtomicU64; N]) {
    sums.iter_mut().zip(counters).for_each(|(sum, counter)| *sum += value(counter));
}

/// The buckets of one kind of histogram that are not empty.
fn used<const N: usize>(
    histograms: &[Histograms],
    buckets: fn(&Histograms) -> &[u64; N],
) -> impl Iterator<Item = (SiteIndex, u32, u64)> {
    histograms.iter().enumerate().flat_map(move |(site, histograms)| {
        let filled = buckets(histograms).iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(move |(bucket, &count)| (SiteIndex(site as u32), bucket as u32, count))
    })
}

fn kind(kind: Kind) -> SiteKind {
    match kind {
        Kind::Task => SiteKind::Task,
        Kind::Local => SiteKind::Local,
        Kind::Blocking => SiteKind::Blocking,
        Kind::Future => SiteKind::Future,
    }
}

/// Tasks spawned and tasks ended since start.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    spawned: u64,
    ended: u64,
}

impl Moved {
    /// Of all tasks.
    pub(super) fn all() -> Self {
        let counted = Moved::counted_by_tokio();
        let others = Moved::where_it_is(false);
        Moved { spawned: counted.spawned + others.spawned, ended: counted.ended + others.ended }
    }

    /// Of those that tokio counts as well.
    pub(super) fn counted_by_tokio() -> Self {
        Moved::where_it_is(true)
    }

    fn where_it_is(counted_by_tokio: bool) -> Self {
        // Number 0 is for those of too many sites: tasks, as a rule.
        let others = (SiteId(0), true);
        let sites = site::all().into_iter().map(|(id, site)| (id, site.kind.is_counted_by_tokio()));
        let of_kind = |&(id, counted): &(SiteId, bool)| (counted == counted_by_tokio).then_some(id);
        let sites: Vec<SiteId> =
            std::iter::once(others).chain(sites).filter_map(|site| of_kind(&site)).collect();
        let mut moved = Moved { spawned: 0, ended: 0 };
        for shard in totals::all() {
            moved.spawned += value(&shard.spawned[usize::from(counted_by_tokio)]);
            let totals = sites.iter().filter_map(|&id| shard.peek(id));
            moved.ended += totals.flat_map(|totals| &totals.ended).map(value).sum::<u64>();
        }
        moved
    }

    /// How many live.
    pub(super) fn alive(self) -> u64 {
        self.spawned.saturating_sub(self.ended)
    }

    /// How many came or went since `earlier`.
    pub(super) fn since(self, earlier: Moved) -> u64 {
        (self.spawned + self.ended).saturating_sub(earlier.spawned + earlier.ended)
    }
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What makes two sites the same to people: file, line, column, type name.
type Identity = (&'static str, u32, u32, &'static str);

fn identity(site: &Site) -> Identity {
    (site.location.file(), site.location.line(), site.location.column(), site.code.type_name())
}

fn empty_row(
    (file, line, column, type_name): Identity,
    future_bytes: usize,
    strings: &mut Strings,
) -> SiteRow {
    let (file, type_name) = (strings.intern(file), strings.intern(type_name));
    SiteRow { file, line, column, type_name, future_bytes: future_bytes as u64, ..SiteRow::default() }
}
