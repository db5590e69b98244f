//! Spawn sites: twins of one place merged, with the sums of all threads.

use std::collections::{BTreeMap, HashMap, HashSet};

use diag_snapshot::{LifetimeRow, PollDelayRow, PollTimeRow, SiteIndex, SiteKind, SiteRow, Strings, Table};

use super::layout::{Column, Layout, word};
use super::memory::Memory;
use super::process::Notes;

/// Threads whose counters are followed at the most.
pub(super) const MAX_SHARDS: usize = 1 << 14;

/// The site table under construction.
pub(super) struct Sites {
    rows: Vec<SiteRow>,
    histograms: Vec<Histograms>,
    /// By the recorder's number.
    row_of: HashMap<u32, SiteIndex>,
    cell: CellSize,
}

/// How long tasks lived, polls took and woken tasks waited.
#[derive(Default)]
struct Histograms([BTreeMap<u32, u64>; 3]);

/// What is kept of a task that has ended.
struct CellSize {
    around: u64,
    output: u64,
    boxed_above: u64,
    line: u64,
}

impl CellSize {
    const POINTER: u64 = 8;

    /// At least so many bytes, if its future had this size.
    fn ended(&self, kind: Option<SiteKind>, future_bytes: u64) -> Option<u64> {
        let future = future_bytes.checked_next_multiple_of(Self::POINTER)?.checked_add(Self::POINTER)?;
        let is_inside = matches!(kind, Some(SiteKind::Task | SiteKind::Local)) && future <= self.boxed_above;
        let stage = if is_inside { future.max(self.output) } else { self.output };
        self.around.checked_add(stage)?.checked_next_multiple_of(self.line.max(1))
    }
}

impl Sites {
    /// All sites with their totals.
    pub(super) fn collect(
        memory: &Memory<'_>,
        layout: &Layout,
        notes: &mut Notes,
        strings: &mut Strings,
    ) -> Self {
        let cell = CellSize {
            around: layout.fact("cell_around"),
            output: layout.fact("cell_output"),
            boxed_above: layout.fact("cell_boxed"),
            line: layout.fact("cell_line"),
        };
        let mut sites = Sites { rows: Vec::new(), histograms: Vec::new(), row_of: HashMap::new(), cell };
        if notes.times("spawns_without_own_site") > 0 {
            let (file, type_name) = (strings.intern("(other sites)"), strings.intern("(any)"));
            let others = sites.push(SiteRow { file, type_name, ..SiteRow::default() });
            sites.row_of.insert(0, others);
        }
        let nameless = sites.register(memory, layout, strings);
        notes.add(
            "core_names",
            "a file or type of a spawn site has no name, as the executable of the core was not found",
            nameless,
        );
        sites.add_totals(memory, layout);
        sites
    }

    /// Gives how many have no name.
    fn register(&mut self, memory: &Memory<'_>, layout: &Layout, strings: &mut Strings) -> u64 {
        let table = layout.table("sites");
        let id = table.column("id");
        let mut records: Vec<&[u8]> = layout
            .table("site_places")
            .records(memory)
            .filter_map(|(_, place)| table.at(memory, word(place)?))
            .collect();
        records.sort_by_key(|record| id.of(record));
        let [file, file_len, type_name, type_len, line, column, bytes, kind] =
            ["file", "file_len", "type_name", "type_len", "line", "column", "bytes", "kind"]
                .map(|name| table.column(name));
        let mut nameless = 0;
        let mut text = |record: &[u8], at: Column, len: Column| {
            let name = memory.text(at.of(record), len.of(record));
            nameless += u64::from(name.is_none());
            // Its address tells it from others.
            name.unwrap_or_else(|| format!("(not in the core: {:#x})", at.of(record)))
        };
        let mut known = HashMap::new();
        for record in records {
            let (file, type_name) = (text(record, file, file_len), text(record, type_name, type_len));
            let (file, type_name) = (strings.intern(&file), strings.intern(&type_name));
            let identity = (file, line.small(record), column.small(record), type_name);
            let row = *known.entry(identity).or_insert_with(|| {
                let (_, line, column, _) = identity;
                let kind = Some(site_kind(kind.of(record)));
                let future_bytes = bytes.of(record);
                self.push(SiteRow { file, line, column, type_name, future_bytes, kind, ..SiteRow::default() })
            });
            self.row_of.insert(id.small(record), row);
        }
        nameless
    }

    /// The sums over all threads.
    fn add_totals(&mut self, memory: &Memory<'_>, layout: &Layout) {
        let (totals, per_chunk) = (layout.table("totals"), layout.fact("totals_chunk"));
        let mut numbers: Vec<(u32, SiteIndex)> = self.row_of.iter().map(|(id, row)| (*id, *row)).collect();
        numbers.sort_unstable();
        let chunks = layout.table("shards").column("chunks");
        for shard in shards(memory, layout) {
            for &(id, row) in &numbers {
                let Some(chunk) = u64::from(id).checked_div(per_chunk) else { return };
                let chunk = chunks.nth(shard, usize::try_from(chunk).unwrap_or(usize::MAX));
                let within = (u64::from(id) % per_chunk).wrapping_mul(totals.stride);
                let address = if chunk == 0 { 0 } else { chunk.wrapping_add(within) };
                if let Some(record) = totals.at(memory, address) {
                    self.add(row, record, &|name| totals.column(name));
                }
            }
        }
    }

    fn add(&mut self, at: SiteIndex, record: &[u8], column: &dyn Fn(&str) -> Column) {
        let of = |name: &str| column(name).of(record);
        let row = &mut self.rows[at.0 as usize];
        let ended = |outcome| column("ended").nth(record, outcome);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        (0..4).for_each(|outcome| add(&mut row.spawned, ended(outcome)));
        add(&mut row.done, ended(0));
        add(&mut row.cancelled, ended(1));
        add(&mut row.panicked, ended(2));
        add(&mut row.never_polled, ended(3));
        let has_handle = row.kind != Some(SiteKind::Future);
        let unobserved = if has_handle { of("unobserved") } else { ended(2) };
        add(row.unobserved_panics.get_or_insert(0), unobserved);
        add(&mut row.polls, of("polls"));
        add(&mut row.busy_ns, of("busy_ns"));
        row.longest_poll_ns = row.longest_poll_ns.max(of("longest_poll_ns"));
        add(row.rescued.get_or_insert(0), of("recovered"));
        add(row.recovered_wakers.get_or_insert(0), of("recovered_wakers"));
        let idle_us = row.recovered_idle_us.get_or_insert(0);
        *idle_us = (*idle_us).max(of("recovered_idle") / 1_000);
        let histograms = &mut self.histograms[at.0 as usize].0;
        for (histogram, name) in histograms.iter_mut().zip(["lifetimes", "poll_times", "delays"]) {
            for (bucket, count) in (0..).zip(column(name).all(record)).filter(|(_, count)| *count > 0) {
                let sum = histogram.entry(bucket).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }

    pub(super) fn push(&mut self, row: SiteRow) -> SiteIndex {
        self.rows.push(row);
        self.histograms.push(Histograms::default());
        SiteIndex(self.rows.len() as u32 - 1)
    }

    /// The row of a recorder's site.
    pub(super) fn row_of(&self, site: u32) -> Option<SiteIndex> {
        self.row_of.get(&site).copied()
    }

    /// One of its tasks lives.
    pub(super) fn count_alive(&mut self, site: SiteIndex) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.spawned = row.spawned.saturating_add(1);
        }
    }

    /// One of its tasks has ended, nobody saw how, and it was not freed yet.
    pub(super) fn count_held(&mut self, site: SiteIndex) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.spawned = row.spawned.saturating_add(1);
            row.freed = Some(row.freed.unwrap_or(0).saturating_add(1));
        }
    }

    /// So many of its tasks were freed, by powers of two of milliseconds that they lived.
    pub(super) fn count_freed(&mut self, site: SiteIndex, ages: &[u64]) {
        let freed = ages.iter().copied().fold(0, u64::saturating_add);
        let place = site.0 as usize;
        if let (Some(row), Some(histograms)) = (self.rows.get_mut(place), self.histograms.get_mut(place)) {
            row.spawned = row.spawned.saturating_add(freed);
            row.freed = Some(row.freed.unwrap_or(0).saturating_add(freed));
            for (bucket, &count) in (0..).zip(ages).filter(|(_, count)| **count > 0) {
                let sum = histograms.0[0].entry(bucket).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }

    /// The cells of its tasks have at least so many bytes.
    pub(super) fn raise_future_bytes(&mut self, site: SiteIndex, bytes: u64) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.future_bytes = row.future_bytes.max(bytes);
        }
    }

    /// Most of its tasks are spawned by tasks of that site.
    pub(super) fn set_spawner(&mut self, site: SiteIndex, spawner: SiteIndex) {
        if let Some(row) = self.rows.get_mut(site.0 as usize) {
            row.spawner = Some(spawner);
        }
    }

    /// Tasks that have ended, of those that tokio counts as well. Before any that live are counted.
    pub(super) fn ended(&self) -> u64 {
        let counted = self.rows.iter().filter(|row| matches!(row.kind, None | Some(SiteKind::Task)));
        counted.fold(0, |sum, row| sum.saturating_add(row.spawned))
    }

    /// True if tokio counts the tasks of this site.
    pub(super) fn is_counted_by_tokio(&self, site: u32) -> bool {
        let row = self.row_of(site).and_then(|site| self.rows.get(site.0 as usize));
        row.is_some_and(|row| row.kind == Some(SiteKind::Task))
    }

    /// At least so much memory is kept of an ended task of this site.
    pub(super) fn cell_bytes(&self, site: SiteIndex) -> Option<u64> {
        let row = self.rows.get(site.0 as usize)?;
        self.cell.ended(row.kind, row.future_bytes)
    }

    /// How long tasks lived.
    pub(super) fn lifetimes(&self) -> Table<LifetimeRow> {
        self.used(0).map(|(site, bucket, count)| LifetimeRow { site, bucket, count }).collect()
    }

    /// How long polls took.
    pub(super) fn poll_times(&self) -> Table<PollTimeRow> {
        self.used(1).map(|(site, bucket, count)| PollTimeRow { site, bucket, count }).collect()
    }

    /// How long woken tasks waited.
    pub(super) fn poll_delays(&self) -> Table<PollDelayRow> {
        self.used(2).map(|(site, bucket, count)| PollDelayRow { site, bucket, count }).collect()
    }

    fn used(&self, of: usize) -> impl Iterator<Item = (SiteIndex, u32, u64)> {
        (0..).map(SiteIndex).zip(&self.histograms).flat_map(move |(site, histograms)| {
            histograms.0[of].iter().map(move |(&bucket, &count)| (site, bucket, count))
        })
    }

    /// The sites themselves.
    pub(super) fn into_rows(self) -> Table<SiteRow> {
        self.rows.into_iter().collect()
    }
}

fn site_kind(number: u64) -> SiteKind {
    match number {
        0 => SiteKind::Task,
        1 => SiteKind::Local,
        2 => SiteKind::Blocking,
        3 => SiteKind::Future,
        _ => SiteKind::Unknown,
    }
}

/// Tasks spawned on all threads, of those that tokio counts as well.
pub(super) fn spawned(memory: &Memory<'_>, layout: &Layout) -> u64 {
    let spawned = layout.table("shards").column("spawned");
    let counted = shards(memory, layout).into_iter().map(|shard| spawned.nth(shard, 1));
    counted.fold(0, u64::saturating_add)
}

/// What each thread has counted.
pub(super) fn shards<'m>(memory: &'m Memory<'_>, layout: &Layout) -> Vec<&'m [u8]> {
    let table = layout.table("shards");
    let (next, mut address) = (table.column("next"), memory.word(table.start).unwrap_or(0));
    let (mut seen, mut shards) = (HashSet::new(), Vec::new());
    while shards.len() < MAX_SHARDS && seen.insert(address) {
        let Some(shard) = table.at(memory, address) else { break };
        shards.push(shard);
        address = next.of(shard);
    }
    shards
}
