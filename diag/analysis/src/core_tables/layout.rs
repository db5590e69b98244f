//! What the service says of its own tables: the static that the recorder keeps for this.

use std::collections::BTreeMap;

use memchr::memmem;

use super::memory::Memory;

/// How it begins; behind this stands its own address, which no copy of these bytes has.
const MAGIC: &[u8] = b"\x93diag tables\r\n\x1a\n";
/// The one version that is understood.
pub(super) const VERSION: u32 = 2;

/// More than this of anything is damage.
const MOST: u32 = 256;
const NAME: usize = 16;
const FACT_NAME: usize = 24;

/// See the module.
pub(super) struct Layout {
    facts: BTreeMap<String, u64>,
    tables: BTreeMap<String, Table>,
    pub(super) diag_version: String,
}

/// Where the records of one kind lie, and what is where in each.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) stride: u64,
    /// 0 if there is none.
    pub(super) start: u64,
    pub(super) len: u64,
    /// A word beside it; 0 if there is none.
    pub(super) mark: u64,
    columns: BTreeMap<String, Column>,
}

/// Where the values of a column lie in each record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Column {
    offset: usize,
    width: usize,
    count: usize,
}

/// Why there is no layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoLayout {
    /// Nothing in the core is one.
    Missing,
    /// Of this version, by this version of the package.
    Other(u32, String),
    /// It is not whole.
    Damaged,
}

impl Layout {
    /// Looks through all that the process could write.
    pub(super) fn find(memory: &Memory<'_>) -> Result<Self, NoLayout> {
        let finder = memmem::Finder::new(MAGIC);
        for (start, bytes) in memory.written() {
            for at in finder.find_iter(bytes) {
                let address = start.wrapping_add(at as u64);
                let mut rest = Bytes(&bytes[at + MAGIC.len()..]);
                if rest.u64() == Some(address) {
                    return rest.layout();
                }
            }
        }
        Err(NoLayout::Missing)
    }

    /// A number; 0 if it is not said.
    pub(super) fn fact(&self, name: &str) -> u64 {
        self.facts.get(name).copied().unwrap_or(0)
    }

    /// A table; one without records if there is none.
    pub(super) fn table(&self, name: &str) -> Table {
        self.tables.get(name).cloned().unwrap_or_default()
    }
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn u64(&mut self) -> Option<u64> {
        word(self.take(8)?)
    }

    fn name(&mut self, len: usize) -> Option<String> {
        let bytes = self.take(len)?.split(|&byte| byte == 0).next()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    fn layout(&mut self) -> Result<Layout, NoLayout> {
        let version = self.u32().ok_or(NoLayout::Damaged)?;
        let lens = [self.u32(), self.u32(), self.u32()];
        let diag_version = self.name(NAME).ok_or(NoLayout::Damaged)?;
        if version != VERSION {
            return Err(NoLayout::Other(version, diag_version));
        }
        let [Some(facts), Some(tables), Some(columns)] = lens else { return Err(NoLayout::Damaged) };
        self.parts(facts, tables, columns, diag_version).ok_or(NoLayout::Damaged)
    }

    fn parts(&mut self, facts: u32, tables: u32, columns: u32, diag_version: String) -> Option<Layout> {
        if facts.max(tables).max(columns) > MOST {
            return None;
        }
        let facts = (0..facts).map(|_| Some((self.name(FACT_NAME)?, self.u64()?))).collect::<Option<_>>()?;
        let tables = (0..tables).map(|_| self.table(columns)).collect::<Option<_>>()?;
        Some(Layout { facts, tables, diag_version })
    }

    fn table(&mut self, columns: u32) -> Option<(String, Table)> {
        let name = self.name(NAME)?;
        let (stride, used) = (self.u32()?.into(), self.u32()?);
        let (start, len, mark) = (self.u64()?, self.u64()?, self.u64()?);
        let all: Option<Vec<(String, Column)>> = (0..columns).map(|_| self.column()).collect();
        let columns = all?.into_iter().take(used as usize).collect();
        Some((name, Table { stride, start, len, mark, columns }))
    }

    fn column(&mut self) -> Option<(String, Column)> {
        let name = self.name(NAME)?;
        let [offset, width, count] = [self.u32()?, self.u32()?, self.u32()?].map(|number| number as usize);
        Some((name, Column { offset, width, count }))
    }
}

impl Table {
    /// A column; one of nothing but zeros if there is none.
    pub(super) fn column(&self, name: &str) -> Column {
        self.columns.get(name).copied().unwrap_or_default()
    }

    /// One record, wherever it lies.
    pub(super) fn at<'m>(&self, memory: &'m Memory<'_>, address: u64) -> Option<&'m [u8]> {
        memory.bytes(address, usize::try_from(self.stride).ok()?).filter(|_| address != 0)
    }

    /// The record of this number.
    pub(super) fn nth<'m>(&self, memory: &'m Memory<'_>, number: u64) -> Option<&'m [u8]> {
        let is_there = self.start != 0 && number < self.len;
        self.at(memory, self.start.wrapping_add(number.wrapping_mul(self.stride))).filter(|_| is_there)
    }

    /// Each record that the core has, with its number.
    pub(super) fn records<'m>(&self, memory: &'m Memory<'_>) -> impl Iterator<Item = (u64, &'m [u8])> {
        let (start, stride) = (self.start, self.stride.max(1));
        let end = start.saturating_add(self.stride.saturating_mul(self.len));
        let range = if start == 0 { 0..0 } else { start..end };
        memory.parts(range).flat_map(move |(at, bytes)| {
            // A record that begins in the part before is in neither.
            let skipped = (stride - (at - start) % stride) % stride;
            let first = (at - start).div_ceil(stride);
            let whole =
                usize::try_from(skipped).ok().and_then(|skipped| bytes.get(skipped..)).unwrap_or_default();
            (first..).zip(whole.chunks_exact(usize::try_from(stride).unwrap_or(usize::MAX)))
        })
    }

    /// How many records the core lacks.
    pub(super) fn missing(&self, memory: &Memory<'_>) -> u64 {
        if self.start == 0 {
            return 0;
        }
        let end = self.start.saturating_add(self.stride.saturating_mul(self.len));
        let here: u64 = memory.parts(self.start..end).map(|(_, bytes)| bytes.len() as u64).sum();
        self.len.saturating_sub(here / self.stride.max(1))
    }

    /// The number that lies there instead of a table.
    pub(super) fn number(&self, memory: &Memory<'_>) -> Option<u64> {
        let bytes = memory.bytes(self.start, usize::try_from(self.stride).ok()?)?;
        Some(little_endian(bytes)).filter(|_| self.start != 0)
    }

    /// The bytes that lie there, as text.
    pub(super) fn text(&self, memory: &Memory<'_>) -> Option<String> {
        memory.text(self.start, self.len).filter(|_| self.start != 0)
    }

    /// The word beside it.
    pub(super) fn mark(&self, memory: &Memory<'_>) -> Option<u64> {
        memory.word(self.mark).filter(|_| self.mark != 0)
    }
}

impl Column {
    /// The value that a record has; 0 if it ends before.
    pub(super) fn of(self, record: &[u8]) -> u64 {
        self.nth(record, 0)
    }

    /// The value of this number.
    pub(super) fn nth(self, record: &[u8], number: usize) -> u64 {
        if number >= self.count {
            return 0;
        }
        let start = self.offset.saturating_add(self.width.saturating_mul(number));
        record.get(start..start.saturating_add(self.width)).map_or(0, little_endian)
    }

    /// All values.
    pub(super) fn all(self, record: &[u8]) -> impl Iterator<Item = u64> {
        (0..self.count.min(record.len())).map(move |number| self.nth(record, number))
    }

    /// The same, shortened.
    pub(super) fn small(self, record: &[u8]) -> u32 {
        self.of(record) as u32
    }
}

/// The word that a record of a table without columns begins with.
pub(super) fn word(record: &[u8]) -> Option<u64> {
    record.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Of up to eight bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_place_and_width_and_never_beyond_the_record() {
        let record = [1, 0, 2, 0, 0xff, 0xff, 0xff, 0xff];
        let column = |offset, width, count| Column { offset, width, count };
        assert_eq!(column(0, 2, 2).all(&record).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((column(4, 4, 1).of(&record), column(2, 1, 1).small(&record)), (0xffff_ffff, 2));
        assert_eq!(column(4, 8, 1).of(&record), 0);
        assert_eq!(column(usize::MAX, usize::MAX, 9).nth(&record, 8), 0);
        assert_eq!(Column::default().of(&record), 0);
    }
}
