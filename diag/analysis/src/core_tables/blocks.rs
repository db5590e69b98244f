//! The blocks of the census: what its entries say of each that lived.

use super::layout::{Column, Layout, Table};
use super::memory::Memory;
use super::tasks::TaskWord;

/// Of `state`: what is left is the address.
const STATE: u64 = 3;
const LIVE: u64 = 1;
const PINNED: u64 = 2;
const ADDRESS: u64 = (1 << 48) - 1 - STATE;
/// Of `stamp`: somebody has left one.
const STAMP: u64 = 1 << 63;

/// As many as the census has at the most.
const MOST: usize = 1 << 22;
/// Ranges that are followed at the most.
const MOST_RANGES: usize = 16;

/// A block that lived.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) birth: u64,
    pub(super) origin: Origin,
    pub(super) born_ns: u64,
    /// Number of the stack.
    pub(super) stack: u32,
    /// When it was first found that its task has ended.
    pub(super) stamp_ns: Option<u64>,
}

/// Who a block was allocated for.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Outside,
    /// This recorded task was running.
    Recorded(TaskWord),
    /// A task without a record was, with this id of tokio's.
    Unrecorded(u64),
}

/// All of them, in the order of their entries.
pub(super) fn all(memory: &Memory<'_>, layout: &Layout) -> Vec<Block> {
    let (ranges, entries) = (layout.table("census_ranges"), layout.table("census"));
    let [start, len] = ["start", "len"].map(|name| ranges.column(name));
    let columns = Columns::of(&entries);
    let ranges = ranges
        .records(memory)
        .take(MOST_RANGES)
        .map(|(_, range)| entries.moved(start.of(range), len.of(range)));
    ranges
        .flat_map(|range| {
            range.records(memory).filter_map(|(_, entry)| columns.block(entry)).take(MOST).collect::<Vec<_>>()
        })
        .take(MOST)
        .collect()
}

struct Columns {
    state: Column,
    birth: Column,
    shape: Column,
    origin: Column,
    born_ns: Column,
    place: Column,
    stamp: Column,
}

impl Columns {
    fn of(entries: &Table) -> Self {
        let [state, birth, shape, origin, born_ns, place, stamp] =
            ["state", "birth", "shape", "origin", "born_ns", "place", "stamp"]
                .map(|name| entries.column(name));
        Columns { state, birth, shape, origin, born_ns, place, stamp }
    }

    /// The block of an entry, if it is there and nobody has it resized.
    fn block(&self, entry: &[u8]) -> Option<Block> {
        let state = self.state.of(entry);
        if ![LIVE, PINNED].contains(&(state & STATE)) {
            return None;
        }
        // The shape is `size << 8 | kind of the origin << 6 | power of two of the alignment`.
        let (shape, place) = (self.shape.of(entry), self.place.of(entry));
        let stamp = self.stamp.nth(entry, 0);
        Some(Block {
            address: state & ADDRESS,
            size: shape >> 8,
            align: 1 << (shape & 0x3F),
            birth: self.birth.of(entry),
            origin: Origin::of(shape >> 6 & 3, self.origin.of(entry)),
            born_ns: self.born_ns.of(entry),
            stack: (place >> 32) as u32,
            stamp_ns: (stamp & STAMP != 0).then_some(stamp & !STAMP),
        })
    }
}

impl Origin {
    fn of(kind: u64, word: u64) -> Self {
        match kind {
            1 => Origin::Recorded(TaskWord(word)),
            2 => Origin::Unrecorded(word),
            _ => Origin::Outside,
        }
    }

    /// The recorded task, if one was running.
    pub(super) fn recorded(self) -> Option<TaskWord> {
        if let Origin::Recorded(task) = self { Some(task) } else { None }
    }
}

impl Block {
    /// The word at this offset; none beyond the block.
    pub(super) fn word(&self, memory: &Memory<'_>, offset: u64) -> Option<u64> {
        let is_inside = offset.checked_add(8).is_some_and(|end| end <= self.size);
        memory.word(self.address.checked_add(offset)?).filter(|_| is_inside)
    }
}
