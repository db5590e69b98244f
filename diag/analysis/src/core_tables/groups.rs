//! Groups of tasks and their members.

use diag_snapshot::{
    CancelLatencyRow, GroupRow, GroupSiteIndex, GroupSiteRow, MemberRow, MemberState, StringIndex, Strings,
    Table, TaskId,
};

use super::chunks;
use super::layout::{self, Layout};
use super::memory::Memory;
use super::process::Clock;
use super::tasks::TaskWord;

/// As many as are known at the most.
const MOST_GROUPS: usize = 1 << 16;

/// The tables of a snapshot.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) sites: Table<GroupSiteRow>,
    pub(super) latencies: Table<CancelLatencyRow>,
    pub(super) groups: Table<GroupRow>,
    pub(super) members: Table<MemberRow>,
    /// The newest stamp; 0 without any.
    pub(super) newest_ns: u64,
}

impl Groups {
    /// All groups that somebody had.
    pub(super) fn read(memory: &Memory<'_>, layout: &Layout, strings: &mut Strings, clock: &Clock) -> Self {
        let mut reader = Reader { memory, layout, strings, clock, told: Groups::default() };
        let sites = reader.sites();
        for record in reader.records() {
            reader.add(&record, &sites);
        }
        reader.told
    }
}

/// A group, by its id.
struct Found<'m> {
    id: u64,
    record: &'m [u8],
}

struct Reader<'m> {
    memory: &'m Memory<'m>,
    layout: &'m Layout,
    strings: &'m mut Strings,
    clock: &'m Clock,
    told: Groups,
}

impl<'m> Reader<'m> {
    /// The addresses of the sites, which have rows from now on.
    fn sites(&mut self) -> Vec<u64> {
        let table = self.layout.table("group_sites");
        let [kind, file, line, made, cancelled, latencies] =
            ["kind", "file", "line", "made", "cancelled", "latencies"].map(|name| table.column(name));
        let mut addresses = Vec::new();
        for (address, record) in table.list(self.memory) {
            let (kind, file) = (kind.text(record, self.memory), file.text(record, self.memory));
            let site = GroupSiteIndex(addresses.len() as u32);
            addresses.push(address);
            self.told.sites.push(GroupSiteRow {
                kind: self.strings.intern(&kind.unwrap_or_default()),
                file: self.strings.intern(&file.unwrap_or_default()),
                line: line.small(record),
                made: made.of(record),
                cancelled: cancelled.of(record),
            });
            let counts = (0..).zip(latencies.all(record)).filter(|(_, count)| *count > 0);
            counts.for_each(|(bucket, count)| {
                self.told.latencies.push(CancelLatencyRow { site, bucket, count })
            });
        }
        addresses
    }

    /// Those of this process, by ascending id.
    fn records(&self) -> Vec<Found<'m>> {
        let (shards, groups) = (self.layout.table("group_shards"), self.layout.table("groups"));
        let (chunks, places) = chunks::tables(self.layout, "group_chunks", "group_places");
        let [id, at] = ["id", "at"].map(|name| places.column(name));
        let newest = shards.column("groups");
        let mut found = Vec::new();
        for (_, shard) in shards.records(self.memory).take(chunks::SHARDS) {
            let known = chunks::records(self.memory, (&chunks, &places), newest.of(shard));
            for place in known.into_values().filter(|place| id.of(place) != 0) {
                let record = groups.at(self.memory, at.of(place));
                // Else it was given back just then.
                let record = record.filter(|record| groups.column("id").of(record) == id.of(place));
                found.extend(record.map(|record| Found { id: id.of(place), record }));
            }
        }
        found.retain(|found| found.id >= self.layout.fact("first_id"));
        found.sort_by_key(|found| found.id);
        found.dedup_by_key(|found| found.id);
        found.truncate(MOST_GROUPS);
        found
    }

    fn add(&mut self, found: &Found<'_>, sites: &[u64]) {
        let table = self.layout.table("groups");
        let of = |name| table.column(name).of(found.record);
        // A group has the address of what lies in the site's record.
        let is_in = |site: &u64| {
            (*site..site.saturating_add(self.layout.table("group_sites").stride)).contains(&of("site"))
        };
        let Some(site) = sites.iter().position(is_in) else { return };
        let asked = of("is_cancelled") != 0;
        let counts = table.column("counts");
        self.see(of("made_ns").max(of("cancelled_ns")));
        let row = GroupRow {
            id: found.id,
            site: GroupSiteIndex(site as u32),
            name: self.text(&table, "name", found.record),
            made_us: self.clock.us(of("made_ns")),
            joined: of("joined"),
            done: counts.nth(found.record, 0),
            cancelled: counts.nth(found.record, 1),
            panicked: counts.nth(found.record, 2),
            cancel_us: asked.then(|| self.clock.us(of("cancelled_ns"))),
            cancel_reason: asked.then(|| self.text(&table, "reason", found.record)),
            aborted: asked.then(|| of("aborted") != 0),
        };
        self.told.groups.push(row);
        self.add_members(found.id, of("members"));
    }

    fn add_members(&mut self, group: u64, newest: u64) {
        let (chunks, table) = chunks::tables(self.layout, "member_chunks", "members");
        let polls = self.layout.table("member_polls");
        let of = |record: &[u8], name| table.column(name).of(record);
        let members = chunks::records(self.memory, (&chunks, &table), newest);
        let mut members: Vec<&[u8]> = members.into_values().filter(|record| of(record, "id") != 0).collect();
        members.sort_by_key(|record| of(record, "id"));
        for member in members {
            let polled = polls.at(self.memory, of(member, "polls"));
            let polled = |name| polled.map_or(0, |record| polls.column(name).of(record));
            let (joined_ns, ended_ns) = (of(member, "joined_ns"), of(member, "ended_ns"));
            let updated_ns = if ended_ns > 0 { ended_ns } else { polled("at_ns").max(joined_ns) };
            self.see(updated_ns);
            let name = self.text(&table, "name", member);
            self.told.members.push(MemberRow {
                group,
                name,
                task: TaskWord(polled("task")).id().map(TaskId),
                state: state(of(member, "state")),
                joined_us: self.clock.us(joined_ns),
                updated_us: self.clock.us(updated_ns),
            });
        }
    }

    fn text(&mut self, table: &layout::Table, name: &str, record: &[u8]) -> StringIndex {
        let text = table.column(name).text(record, self.memory);
        self.strings.intern(&text.unwrap_or_default())
    }

    fn see(&mut self, stamp_ns: u64) {
        self.told.newest_ns = self.told.newest_ns.max(stamp_ns);
    }
}

fn state(number: u64) -> MemberState {
    match number {
        0 => MemberState::Alive,
        1 => MemberState::Done,
        3 => MemberState::Panicked,
        _ => MemberState::Cancelled,
    }
}
