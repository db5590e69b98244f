//! The table: every block that is in the census, by its address for its owner, one after another for a reader.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::Layout;

use super::addresses::{Addresses, Place};
use super::block::Block;
use super::entries::{Entries, EntryId};
use super::entry::{Closed, Entry};
use super::free::Free;
use super::pinned::Pinned;
#[cfg(not(all(test, diag_loom)))]
use crate::core_layout;

/// So many entries before a look at a block, it is fetched: as many reads as a processor waits for at a time.
const AHEAD: usize = 8;

/// See the module.
pub(super) struct Table {
    entries: Entries,
    addresses: Addresses,
}

/// What became of the entry of a block that its owner is about to free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There was none.
    Unknown,
    /// This was the block. Its owner frees it.
    Ours(Block),
    /// A reader looks at the block, and frees it when it is done.
    Left,
}

impl Table {
    #[cfg(not(all(test, diag_loom)))]
    pub(super) const fn new() -> Self {
        Table { entries: Entries::new(), addresses: Addresses::new() }
    }

    #[cfg(all(test, diag_loom))]
    pub(super) fn new() -> Self {
        Table { entries: Entries::new(), addresses: Addresses::new() }
    }

    /// What a reader of cores is told of the ranges of entries.
    #[cfg(not(all(test, diag_loom)))]
    pub(super) const fn core_table(&'static self) -> core_layout::Table {
        self.entries.core_table()
    }

    /// Enters a block of the caller's; false if there is no room.
    pub(super) fn enter(&self, block: &Block) -> bool {
        let Some(id) = self.entries.take(block.thread) else { return false };
        let Some(entry) = self.entries.get(id) else { return false };
        // Before a reader can pin it: who frees the block looks for it here.
        if !self.addresses.insert(block.address, id) {
            self.entries.give(id);
            return false;
        }
        entry.open(block);
        true
    }

    /// The block is about to be freed, by its owner; by whoever looks at it, with `free`.
    pub(super) fn end(&self, address: usize, free: Free) -> Ended {
        let Some((place, id, entry)) = self.find(address) else { return Ended::Unknown };
        let block = entry.block(address);
        // First: from the free on, another block may have the address.
        place.remove();
        match entry.close(address, free) {
            Closed::Ours => {
                self.entries.give(id);
                Ended::Ours(block)
            }
            Closed::Left => Ended::Left,
        }
    }

    /// The block is about to be resized by its owner. `None` if it is not here, or if a reader looks at it: then it must
    /// stay where it is.
    pub(super) fn hold(&self, address: usize) -> Held<'_> {
        let Some((place, id, entry)) = self.find(address) else { return Held::Unknown };
        if !entry.hold(address) {
            return Held::Pinned;
        }
        place.hold();
        Held::Moving(Moving { table: self, place, id, entry, address })
    }

    /// How many blocks there are, about.
    pub(super) fn len(&self) -> usize {
        self.entries.taken()
    }

    /// True if no block was ever entered.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.all().next().is_none()
    }

    /// Shows each block that lives, pinned meanwhile. For who knows the number of this process. One reader at a time, or each misses what the other looks at.
    pub(super) fn each(&self, mut look: impl FnMut(&Pinned<'_>)) {
        let mut coming = self.entries.all().skip(AHEAD);
        for (id, entry) in self.entries.all() {
            if let Some((_, entry)) = coming.next() {
                entry.fetch_block();
            }
            if let Some(pinned) = Pinned::new(&self.entries, id, entry) {
                look(&pinned);
            }
        }
    }

    fn find(&self, address: usize) -> Option<(Place<'_>, EntryId, &'static Entry)> {
        let place = self.addresses.find(address)?;
        let id = place.entry();
        Some((place, id, self.entries.get(id)?))
    }
}

/// What became of a block that its owner is about to resize.
pub(crate) enum Held<'a> {
    /// It is not in the census.
    Unknown,
    /// A reader looks at it: it must stay where it is.
    Pinned,
    /// Nobody looks at it, or finds it, until it is put back or has moved.
    Moving(Moving<'a>),
}

/// See [`Held::Moving`].
#[must_use = "dropped, the block is lost"]
pub(crate) struct Moving<'a> {
    table: &'a Table,
    place: Place<'a>,
    id: EntryId,
    entry: &'static Entry,
    address: usize,
}

impl Moving<'_> {
    /// It stays where it is, as it was.
    pub(crate) fn put_back(self) {
        let (address, layout) = (self.address, self.entry.block(self.address).layout);
        self.moved(address, layout);
    }

    /// It lies there now, and has this layout; the block as it was, if there is no room for it there any more.
    pub(crate) fn moved(self, address: usize, layout: Layout) -> Option<Block> {
        if address == self.address {
            self.place.put_back(address, self.id);
        } else {
            self.place.remove();
            if !self.table.addresses.insert(address, self.id) {
                return Some(self.give_up());
            }
        }
        self.entry.moved(address, layout);
        None
    }

    /// It is in the census no more; as it was.
    pub(crate) fn leave(self) -> Block {
        self.place.remove();
        self.give_up()
    }

    fn give_up(self) -> Block {
        let block = self.entry.block(self.address);
        self.entry.give_up();
        self.table.entries.give(self.id);
        block
    }
}
