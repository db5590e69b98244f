//! Which words are a waker, and of which task.

use std::ops::Range;

use crate::number_map::NumberMap;
use crate::task::slab::slab;
use crate::task::{runtime_waker, waker};

/// A waker where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waker {
    /// The address of the first of its two words.
    pub(super) at: u64,
    /// The task's id.
    pub(super) task: u64,
    pub(super) words: [u64; 2],
}

/// What wakers look like.
pub(super) struct Wakers {
    /// Where the records of tasks are, to which the recorder's wakers point.
    records: Range<u64>,
    /// The tables of these, and that of the runtime's own.
    ours: [u64; 2],
    runtimes: u64,
    data_first: bool,
    /// The tasks by the addresses of their cells, to which the runtime's wakers point.
    cells: NumberMap<u64, u64>,
}

impl Wakers {
    pub(super) fn new(data_first: bool, cells: NumberMap<u64, u64>) -> Self {
        let records = slab().map_or(0..0, |slab| slab.addresses());
        Wakers { records, ours: waker::tables(), runtimes: runtime_waker::table_address(), data_first, cells }
    }

    /// The wakers among words that follow each other from this address on.
    pub(super) fn among(&self, address: u64, words: &[u64], mut see: impl FnMut(Waker)) {
        let table = usize::from(self.data_first);
        for (i, two) in words.windows(2).enumerate() {
            let table = two[table];
            if (table == self.ours[0] || table == self.ours[1] || table == self.runtimes)
                && let Some(task) = self.task([two[0], two[1]])
            {
                see(Waker { at: address + 8 * i as u64, task, words: [two[0], two[1]] });
            }
        }
    }

    /// The id of the task that these two words are a waker of.
    pub(super) fn task(&self, words: [u64; 2]) -> Option<u64> {
        let [data, table] = if self.data_first { words } else { [words[1], words[0]] };
        if self.ours.contains(&table) {
            return self.recorded(data);
        }
        if table != 0 && table == self.runtimes { self.cells.get(&data).copied() } else { None }
    }

    /// The id of the task whose record lies there.
    pub(super) fn recorded(&self, address: u64) -> Option<u64> {
        if !self.records.contains(&address) {
            return None;
        }
        slab()?.record_at(address)?.task()?.id()
    }

    /// Where the records lie.
    pub(super) fn records(&self) -> Range<u64> {
        self.records.clone()
    }

    /// The address and id of each task whose cell is known.
    pub(super) fn cells(&self) -> impl Iterator<Item = (u64, u64)> {
        self.cells.iter().map(|(&address, &task)| (address, task))
    }
}
