//! What the service said that it had: in use, in its pools, and values that it counted.

use std::collections::BTreeMap;

use diag_snapshot::{
    ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, ResourceState, SiteIndex, Strings, TaskId,
    commonest,
};

use super::chunks;
use super::layout::{Layout, Table};
use super::memory::Memory;
use super::process::Clock;
use super::resource_tables::ResourceTables;
use super::sites::Sites;
use super::tasks::TaskWord;

/// It is to be closed at no time.
const NEVER: u64 = u64::MAX;
const IN_USE: u64 = 1;

/// Where resources of one name are opened; in the order in which a live snapshot has them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    kind: u64,
    name: String,
    file: String,
    line: u32,
    column: u32,
}

/// A resource that is open.
struct Open {
    id: u64,
    since_ns: u64,
    holder: TaskWord,
    /// Of one that is acquired again and again: where and when it was made, and what is done with it.
    made: Option<(Place, u64, u64)>,
    due_ns: Option<u64>,
    place: Place,
}

/// All of it.
pub(super) struct InUse {
    closed: BTreeMap<Place, Vec<u64>>,
    open: Vec<Open>,
}

impl InUse {
    pub(super) fn read(memory: &Memory<'_>, layout: &Layout) -> Self {
        let shards = layout.table("resource_shards");
        let [open, places] = ["open", "places"].map(|name| shards.column(name));
        let place_tables = chunks::tables(layout, "place_chunks", "places");
        let open_tables = chunks::tables(layout, "open_chunks", "open");
        let mut in_use = InUse { closed: BTreeMap::new(), open: Vec::new() };
        for (_, shard) in shards.records(memory).take(chunks::SHARDS) {
            let of_shard = (&place_tables.0, &place_tables.1);
            let places = chunks::records(memory, of_shard, places.of(shard));
            let places: BTreeMap<u64, Place> = places
                .into_iter()
                .filter_map(|(number, record)| {
                    let (place, ages) = place(&place_tables.1, record, memory)?;
                    in_use.count_closed(&place, &ages);
                    Some((number, place))
                })
                .collect();
            let of_shard = chunks::records(memory, (&open_tables.0, &open_tables.1), open.of(shard));
            let mut all: Vec<Open> =
                of_shard.values().filter_map(|record| Open::of(&open_tables.1, record, &places)).collect();
            all.retain(|open| open.id >= layout.fact("first_id"));
            all.sort_by_key(|open| open.id);
            in_use.open.extend(all);
        }
        in_use
    }

    /// The newest stamp; 0 without any.
    pub(super) fn newest_ns(&self) -> u64 {
        self.open.iter().map(|open| open.since_ns).max().unwrap_or(0)
    }

    fn count_closed(&mut self, place: &Place, ages: &[u64]) {
        if ages.iter().all(|&count| count == 0) {
            return;
        }
        let sums = self.closed.entry(place.clone()).or_insert_with(|| vec![0; ages.len()]);
        sums.iter_mut().zip(ages).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
    }

    /// Adds it.
    pub(super) fn add(
        &self,
        tables: &mut ResourceTables,
        sites: &Sites,
        strings: &mut Strings,
        clock: &Clock,
    ) {
        let mut known = BTreeMap::new();
        for (place, ages) in &self.closed {
            let site = place.site(tables, &mut known, strings);
            tables.count_closed(site, ages);
        }
        let mut holders: Vec<(ResourceSiteIndex, SiteIndex)> = Vec::new();
        for open in &self.open {
            let site = open.place.site(tables, &mut known, strings);
            let made = open.made.as_ref();
            let made_at = made.map(|(place, ..)| place.site(tables, &mut known, strings));
            // One that is in use elsewhere was made there all the same.
            if let (Some(made_at), Some((.., IN_USE))) = (made_at, made) {
                tables.count_opened(made_at);
            }
            tables.push(ResourceRow {
                id: open.id,
                site,
                opened_us: clock.us(open.since_ns),
                opener: open.holder.id().map(TaskId),
                in_state: made.map(|(.., state)| state_of(*state)),
                made_us: made.map(|(_, ns, _)| clock.us(*ns)),
                made_at,
                due_us: open.due_ns.map(|ns| clock.us(ns)),
                ..ResourceRow::default()
            });
            holders.extend(open.holder.site().and_then(|site| sites.row_of(site)).map(|row| (site, row)));
        }
        for (site, holder) in commonest(holders.into_iter()) {
            tables.set_opener(site, Some(holder));
        }
    }
}

impl Place {
    fn site(
        &self,
        tables: &mut ResourceTables,
        known: &mut BTreeMap<Place, ResourceSiteIndex>,
        strings: &mut Strings,
    ) -> ResourceSiteIndex {
        if let Some(&site) = known.get(self) {
            return site;
        }
        let site = tables.push_site(ResourceSiteRow {
            kind: if self.kind == 0 { ResourceKind::InUse } else { ResourceKind::Value },
            name: Some(strings.intern(&self.name)),
            file: Some(strings.intern(&self.file)),
            line: Some(self.line),
            ..ResourceSiteRow::default()
        });
        known.insert(self.clone(), site);
        site
    }
}

impl Open {
    /// None of what is not in use, or of a place that is not in the core.
    fn of(table: &Table, record: &[u8], places: &BTreeMap<u64, Place>) -> Option<Self> {
        let of = |name| table.column(name).of(record);
        let id = Some(of("id")).filter(|&id| id != 0)?;
        let made_at = of("made_at").checked_sub(1).and_then(|number| places.get(&number));
        Some(Open {
            id,
            since_ns: of("since_ns"),
            holder: TaskWord(of("holder")),
            made: made_at.map(|place| (place.clone(), of("made_ns"), of("state"))),
            due_ns: Some(of("due_ns")).filter(|&ns| ns != NEVER),
            place: places.get(&of("place"))?.clone(),
        })
    }
}

/// A place, and how long those were open that were closed there.
fn place(table: &Table, record: &[u8], memory: &Memory<'_>) -> Option<(Place, Vec<u64>)> {
    let of = |name| table.column(name);
    let place = Place {
        kind: of("kind").of(record),
        name: of("name").text(record, memory)?,
        file: of("file").text(record, memory)?,
        line: of("line").small(record),
        column: of("column").small(record),
    };
    // One that is not in use has no line.
    (place.line > 0).then(|| (place, of("ages").all(record).collect()))
}

fn state_of(number: u64) -> ResourceState {
    match number {
        0 => ResourceState::Created,
        IN_USE => ResourceState::InUse,
        _ => ResourceState::Idle,
    }
}
