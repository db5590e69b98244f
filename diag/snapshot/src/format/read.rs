//! From any bytes to a [`Snapshot`], and what of it was lost.

use super::error::{Damage, ReadError};
use super::facts::Facts;
use super::header::{self, Entry, Header};
use super::section::{self, Budget};
use super::strings;
use super::table::{self, in_column};
use crate::model::{GroupSiteRow, Heap, HeapFacts, ResourceSiteRow, SiteRow, Snapshot, Stacks, TableVisitor};
use crate::schema::{ColumnSpec, Target};
use crate::strings::Strings;
use crate::table::{Row, Table};

/// The snapshot in `bytes`, and what of it could not be read.
///
/// A damaged table is empty and the heap is `None` if its samples, stacks or frames are lost; each
/// loss is in the list. Every index in the tables points to a row that is there, unless the list
/// tells that the whole table it points to is lost. Sections and columns of a newer minor version
/// are skipped without a word.
///
/// # Errors
/// If nothing is usable: not a snapshot, of a newer major version, or damaged or cut off before the
/// facts end.
pub fn read(bytes: &[u8]) -> Result<(Snapshot, Vec<Damage>), ReadError> {
    let (mut reader, facts) = Reader::new(bytes)?;
    let mut lengths = Lengths::default();
    let strings = reader.strings();
    lengths.strings = strings.as_ref().map(Strings::len);
    let sites: Option<Table<SiteRow>> = reader.table(&lengths);
    lengths.sites = sites.as_ref().map(Table::len);
    let stacks = reader.stacks(&mut lengths, facts.heap.is_some());
    let resource_sites: Option<Table<ResourceSiteRow>> = reader.table(&lengths);
    lengths.resource_sites = resource_sites.as_ref().map(Table::len);
    let group_sites: Option<Table<GroupSiteRow>> = reader.table(&lengths);
    lengths.group_sites = group_sites.as_ref().map(Table::len);
    let snapshot = Snapshot {
        process: facts.process.into_owned(),
        capture: facts.capture.into_owned(),
        strings: strings.unwrap_or_default(),
        sites: sites.unwrap_or_default(),
        lifetimes: reader.table(&lengths).unwrap_or_default(),
        poll_times: reader.table(&lengths).unwrap_or_default(),
        poll_delays: reader.table(&lengths).unwrap_or_default(),
        tasks: reader.table(&lengths).unwrap_or_default(),
        ends: reader.table(&lengths).unwrap_or_default(),
        zombies: reader.table(&lengths).unwrap_or_default(),
        parked: reader.table(&lengths).unwrap_or_default(),
        labels: reader.table(&lengths).unwrap_or_default(),
        threads: reader.table(&lengths).unwrap_or_default(),
        thread_cpu: reader.table(&lengths).unwrap_or_default(),
        cpu_samples: reader.table(&lengths).unwrap_or_default(),
        mapped_files: reader.table(&lengths).unwrap_or_default(),
        descriptors: reader.table(&lengths).unwrap_or_default(),
        resource_sites: resource_sites.unwrap_or_default(),
        resources: reader.table(&lengths).unwrap_or_default(),
        resource_ages: reader.table(&lengths).unwrap_or_default(),
        group_sites: group_sites.unwrap_or_default(),
        groups: reader.table(&lengths).unwrap_or_default(),
        members: reader.table(&lengths).unwrap_or_default(),
        cancel_latencies: reader.table(&lengths).unwrap_or_default(),
        blocks: reader.table(&lengths).unwrap_or_default(),
        statics: reader.table(&lengths).unwrap_or_default(),
        waits: reader.table(&lengths).unwrap_or_default(),
        points: reader.table(&lengths).unwrap_or_default(),
        stacks,
        heap: facts.heap.and_then(|facts| reader.heap(facts.into_owned(), &lengths)),
    };
    Ok((snapshot, reader.damage))
}

/// Of whom the snapshot in `bytes` is, and when and how it was taken: its tables are empty. They were not unpacked, but
/// what of them the digests show to be damaged is in the list.
///
/// # Errors
/// As [`read`].
pub fn read_facts(bytes: &[u8]) -> Result<(Snapshot, Vec<Damage>), ReadError> {
    let (mut reader, facts) = Reader::new(bytes)?;
    reader.check("strings");
    let (process, capture) = (facts.process.into_owned(), facts.capture.into_owned());
    let heap = facts.heap.map(|facts| Heap { facts: facts.into_owned(), ..Heap::default() });
    let empty = Snapshot { process, capture, heap, ..Snapshot::default() };
    empty.visit_tables(&mut reader);
    Ok((empty, reader.damage))
}

impl TableVisitor for Reader<'_> {
    fn visit<R: Row>(&mut self, _table: &Table<R>) {
        self.check(R::TABLE.name);
    }
}

/// How many rows there are to point to; `None` while that table is not read, or if it is lost.
#[derive(Default)]
struct Lengths {
    strings: Option<usize>,
    sites: Option<usize>,
    resource_sites: Option<usize>,
    group_sites: Option<usize>,
    stacks: Option<usize>,
    frames: Option<usize>,
    modules: Option<usize>,
}

impl Lengths {
    fn of(&self, target: Target) -> Option<usize> {
        match target {
            Target::Strings => self.strings,
            Target::Sites => self.sites,
            Target::ResourceSites => self.resource_sites,
            Target::GroupSites => self.group_sites,
            Target::Stacks => self.stacks,
            Target::Frames => self.frames,
            Target::Modules => self.modules,
        }
    }

    /// Every index of `table` points to a row that is there, as far as its target could be read.
    fn check<R: Row>(&self, table: &Table<R>) -> Result<(), String> {
        R::TABLE.columns.iter().zip(table.columns()).try_for_each(|(spec, values)| {
            match self.first_dangling::<R>(spec, values) {
                Some(row) => Err(in_column(spec, format_args!("row {row} points nowhere"))),
                None => Ok(()),
            }
        })
    }

    /// A stack must point to an earlier row, so none calls itself; a site may be spawned by its own tasks.
    fn first_dangling<R: Row>(&self, spec: &ColumnSpec, values: &[u64]) -> Option<usize> {
        let target = spec.target?;
        let absent = u64::from(spec.optional);
        let is_own = target.table() == R::TABLE.name;
        if is_own && target == Target::Stacks {
            return (0u64..).zip(values).position(|(row, &value)| value >= row + absent);
        }
        let end = if is_own { values.len() } else { self.of(target)? } as u64 + absent;
        values.iter().position(|&value| value >= end)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
    budget: Budget,
    damage: Vec<Damage>,
}

impl<'a> Reader<'a> {
    /// Reads the part without which nothing is usable.
    fn new(bytes: &'a [u8]) -> Result<(Self, Facts<'static>), ReadError> {
        let header = Header::parse(bytes)?;
        let mut reader = Reader { bytes, entries: header.entries, budget: Budget::new(), damage: Vec::new() };
        reader.check_length(header.file_bytes);
        let facts = reader.facts()?;
        Ok((reader, facts))
    }

    fn check_length(&mut self, expected: u64) {
        let actual = self.bytes.len() as u64;
        if actual != expected {
            let what = format!("the file has {actual} bytes and was written with {expected}");
            self.damage.push(Damage { section: "file", offset: actual.min(expected), what });
        }
    }

    fn facts(&mut self) -> Result<Facts<'static>, ReadError> {
        self.decode("facts", Facts::decode).map_err(|Damage { section, offset, what }| {
            let end = self.bytes.len() as u64;
            match self.entry(section).map(|entry| entry.offset.saturating_add(entry.stored_bytes)) {
                Ok(needs) if needs > end => ReadError::Truncated { section, offset: end, needs },
                _ => ReadError::Damaged { section, offset, what },
            }
        })
    }

    fn strings(&mut self) -> Option<Strings> {
        let strings = self.decode("strings", strings::decode);
        self.keep(strings)
    }

    /// A table. A file that is older than it does not have it: it is empty there, and nothing is lost.
    fn table<R: Row>(&mut self, lengths: &Lengths) -> Option<Table<R>> {
        self.table_if(R::TABLE.is_in_first_version(), lengths)
    }

    /// A table that `must` be there; else it may be missing, and is empty then.
    fn table_if<R: Row>(&mut self, must: bool, lengths: &Lengths) -> Option<Table<R>> {
        if !must && !self.entries.iter().any(|entry| entry.is_named(R::TABLE.name)) {
            return Some(Table::default());
        }
        let table = self.decode(R::TABLE.name, |raw, budget| {
            let table = table::decode(raw, budget)?;
            lengths.check(&table)?;
            Ok(table)
        });
        self.keep(table)
    }

    /// The call stacks, which a file must have if it has a heap.
    fn stacks(&mut self, lengths: &mut Lengths, must: bool) -> Stacks {
        let modules = self.table_if(must, lengths);
        lengths.modules = modules.as_ref().map(Table::len);
        let frames = self.table_if(must, lengths);
        lengths.frames = frames.as_ref().map(Table::len);
        let stacks = self.table_if(must, lengths);
        lengths.stacks = stacks.as_ref().map(Table::len);
        Stacks {
            stacks: stacks.unwrap_or_default(),
            frames: frames.unwrap_or_default(),
            names: self.table_if(must, lengths).unwrap_or_default(),
            modules: modules.unwrap_or_default(),
        }
    }

    /// A sample says nothing without its stack.
    fn heap(&mut self, facts: HeapFacts, lengths: &Lengths) -> Option<Heap> {
        let heap = Heap {
            facts,
            samples: self.table(lengths)?,
            stack_totals: self.table(lengths).unwrap_or_default(),
            stack_ages: self.table(lengths).unwrap_or_default(),
            site_totals: self.table(lengths).unwrap_or_default(),
            site_ages: self.table(lengths).unwrap_or_default(),
        };
        (lengths.stacks.is_some() && lengths.frames.is_some()).then_some(heap)
    }

    /// Checks a section that is not unpacked; one that a file may lack is not missed here.
    fn check(&mut self, section: &'static str) {
        let Some(entry) = self.entries.iter().find(|entry| entry.is_named(section)).copied() else { return };
        let checked = self.stored(&entry).and_then(|stored| section::check(stored, &entry));
        self.keep(checked.map_err(|what| Damage { section, offset: entry.offset, what }));
    }

    fn keep<T>(&mut self, read: Result<T, Damage>) -> Option<T> {
        read.map_err(|damage| self.damage.push(damage)).ok()
    }

    fn decode<T>(
        &mut self,
        section: &'static str,
        decode: impl FnOnce(&[u8], &mut Budget) -> Result<T, String>,
    ) -> Result<T, Damage> {
        let entry = self.entry(section)?;
        let damage = |what| Damage { section, offset: entry.offset, what };
        let stored = self.stored(&entry).map_err(damage)?;
        let raw = section::unpack(stored, &entry, &mut self.budget).map_err(damage)?;
        decode(&raw, &mut self.budget).map_err(damage)
    }

    /// The one entry of that name.
    fn entry(&self, section: &'static str) -> Result<Entry, Damage> {
        let mut named = self.entries.iter().filter(|entry| entry.is_named(section));
        let what = match (named.next(), named.next()) {
            (Some(&entry), None) => return Ok(entry),
            (None, _) => "the section is missing",
            (Some(_), Some(_)) => "the section is there twice",
        };
        Err(Damage { section, offset: header::TABLE_OFFSET, what: what.to_owned() })
    }

    fn stored(&self, entry: &Entry) -> Result<&'a [u8], String> {
        let range = usize::try_from(entry.offset).ok().zip(usize::try_from(entry.stored_bytes).ok());
        let stored = range.and_then(|(offset, length)| self.bytes.get(offset..)?.get(..length));
        stored.ok_or_else(|| {
            let (length, end) = (entry.stored_bytes, self.bytes.len());
            format!("cut off, its {length} bytes go beyond the end of the file at byte {end}")
        })
    }
}
