//! Records that have numbers, in chunks, each of which has the address of the one before it.

use std::collections::{BTreeMap, HashSet};

use super::layout::{Layout, Table};
use super::memory::Memory;

/// Records of a chunk at the most.
const MOST_IN_CHUNK: u64 = 64;
/// Chunks that are followed at the most.
const MOST: usize = 1 << 14;

/// Places in which chunks begin, at the most: as many as there are shards.
pub(super) const SHARDS: usize = 64;

/// The records of one of these, whose newest chunk is at this address, by their numbers. Those that are not in use are among them.
pub(super) fn records<'m>(
    memory: &'m Memory<'_>,
    (chunks, records): (&Table, &Table),
    newest: u64,
) -> BTreeMap<u64, &'m [u8]> {
    let [older, first] = ["older", "first"].map(|name| chunks.column(name));
    let within = chunks.column("records");
    let (mut address, mut seen, mut found) = (newest, HashSet::new(), BTreeMap::new());
    while seen.len() < MOST && seen.insert(address) {
        let Some(chunk) = chunks.at(memory, address) else { break };
        let of_chunk =
            records.moved(address.wrapping_add(within.offset()), within.count().min(MOST_IN_CHUNK));
        let numbered =
            of_chunk.records(memory).map(|(at, record)| (first.of(chunk).wrapping_add(at), record));
        found.extend(numbered);
        address = older.of(chunk);
    }
    found
}

/// Both tables of one of these, by name.
pub(super) fn tables(layout: &Layout, chunks: &str, records: &str) -> (Table, Table) {
    (layout.table(chunks), layout.table(records))
}
