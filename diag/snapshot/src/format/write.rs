//! From a [`Snapshot`] to the bytes of its file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::facts::Facts;
use super::header::{self, Entry};
use super::section::Packer;
use super::{strings, table};
use crate::model::{Snapshot, TableVisitor};
use crate::table::{Row, Table};

/// The file of `snapshot`.
///
/// The rows of live tasks and heap samples are ordered by their key; a row whose key is there
/// already cannot be written, and is counted in [`Capture::dropped`](crate::Capture::dropped) of
/// the file under `duplicate tasks` or `duplicate samples`.
pub fn write(snapshot: &Snapshot) -> Vec<u8> {
    let mut writer = Writer { packer: Packer::new(), sections: Vec::new(), dropped: BTreeMap::new() };
    writer.section("strings", strings::encode(&snapshot.strings));
    snapshot.visit_tables(&mut writer);
    writer.finish(snapshot)
}

struct Writer {
    packer: Packer,
    sections: Vec<(Entry, Vec<u8>)>,
    dropped: BTreeMap<String, u64>,
}

impl Writer {
    fn section(&mut self, name: &str, raw: Vec<u8>) {
        let raw_bytes = raw.len() as u64;
        let stored = self.packer.pack(raw);
        self.sections.push((Entry::new(name, &stored, raw_bytes), stored));
    }

    /// Puts the facts in front, so that a file cut anywhere behind them can still be told what it is.
    fn finish(mut self, snapshot: &Snapshot) -> Vec<u8> {
        let mut capture = Cow::Borrowed(&snapshot.capture);
        for (name, count) in std::mem::take(&mut self.dropped) {
            *capture.to_mut().dropped.entry(name).or_default() += count;
        }
        let heap = snapshot.heap.as_ref().map(|heap| Cow::Borrowed(&heap.facts));
        let facts = Facts { process: Cow::Borrowed(&snapshot.process), capture, heap };
        self.section("facts", facts.encode());
        self.sections.rotate_right(1);
        let (entries, stored): (Vec<Entry>, Vec<Vec<u8>>) = self.sections.into_iter().unzip();
        let mut out = header::encode(&entries);
        out.reserve_exact(stored.iter().map(Vec::len).sum());
        stored.iter().for_each(|stored| out.extend_from_slice(stored));
        out
    }
}

impl TableVisitor for Writer {
    fn visit<R: Row>(&mut self, table: &Table<R>) {
        let (raw, duplicates) = table::encode(table);
        self.section(R::TABLE.name, raw);
        if duplicates > 0 {
            self.dropped.insert(format!("duplicate {}", R::TABLE.name), duplicates);
        }
    }
}
