//! The cells of tasks by their addresses, and what lies at other addresses: for who follows pointers.
//!
//! Everything is read by the system, which answers instead of faulting: what lies there may go at any moment.

use std::collections::BTreeSet;
use std::ops::Range;

use super::address_map::{AddressMap, Place};
use super::rules::{Context, Rules, Table};
use crate::sys::own_memory;

/// Where the parts of a task's cell are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) bytes: u64,
    /// Where the task's future begins, or a pointer to it.
    pub(crate) future: u64,
    /// Where the list of its runtime and the waker of who joins it are.
    pub(crate) trailer: u64,
}

/// What is mapped, and how cells are laid out.
pub(crate) struct Cells {
    context: Context,
    rules: &'static Rules,
}

/// No future is larger, and no stack that it would have to be moved over.
const MAX_FUTURE_BYTES: u64 = 16 << 20;

impl Cells {
    /// As it is mapped now; `None` where the system does not tell.
    pub(crate) fn now(rules: &'static Rules) -> Option<Self> {
        Some(Cells { context: Context::new(AddressMap::now()?), rules })
    }

    /// Memory of programs that is never written, and no code.
    pub(crate) fn constant(&self) -> impl Iterator<Item = Range<u64>> {
        self.context.ranges(Place::Constant)
    }

    /// True of memory that can be written.
    pub(crate) fn is_writable(&self, address: u64) -> bool {
        self.context.place(address) == Some(Place::Writable)
    }

    /// The cells at these addresses, each as far as there is one.
    pub(crate) fn at(&mut self, addresses: &[u64]) -> Vec<Option<Cell>> {
        let Ok(rule) = &self.rules.task else { return vec![None; addresses.len()] };
        let tables = own_memory::words_at(addresses.iter().map(|address| address + rule.table as u64));
        tables.into_iter().map(|table| table.and_then(|[table]| self.cell(table))).collect()
    }

    /// What runs the tasks whose cells lie there: each address of a scheduler once.
    pub(crate) fn schedulers(&self, addresses: impl Iterator<Item = u64>) -> BTreeSet<u64> {
        let Ok(rule) = &self.rules.task else { return BTreeSet::new() };
        let words = own_memory::words_at(addresses.map(|address| address + rule.scheduler_offset));
        words.into_iter().flatten().map(|[word]| word).filter(|&word| word != 0).collect()
    }

    /// The cell whose table of functions lies at this address.
    pub(crate) fn cell(&mut self, table: u64) -> Option<Cell> {
        let Ok(rule) = &self.rules.task else { return None };
        let Table { words, code } = self.context.table(table)?;
        let [scheduler, id, trailer] = [rule.scheduler, rule.id, rule.trailer].map(|word| words[word]);
        let is_table = (code ^ rule.code) & ((1 << rule.table_words) - 1) == 0
            && scheduler == rule.scheduler_offset
            && (scheduler..trailer).contains(&id)
            && trailer < MAX_FUTURE_BYTES;
        is_table.then_some(Cell { bytes: trailer + rule.trailer_bytes, future: id + 8, trailer })
    }

    /// The size of what a pair of words points to, the second of them to a table of a trait's functions; `None` if that is
    /// none. Boxed futures are such.
    pub(crate) fn dyn_bytes(&mut self, data: u64, table: u64) -> Option<u64> {
        let Table { words, code } = self.context.table(table)?;
        let [drop, bytes, align] = [words[0], words[1], words[2]];
        // Without a destructor the first one is 0. Behind them are the functions, of which a future has one.
        let is_table = (drop == 0 || code & 1 != 0)
            && code & 0b1110 == 0b1000
            && align.is_power_of_two()
            && align <= 4096
            && bytes.is_multiple_of(align)
            && (8..=MAX_FUTURE_BYTES).contains(&bytes);
        let is_box = is_table && data.is_multiple_of(align) && self.is_writable(data);
        is_box.then_some(bytes)
    }
}
