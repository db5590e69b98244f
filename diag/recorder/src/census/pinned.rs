//! A block that a reader looks at: it stays where it is until this is dropped.

use std::arch::asm;

use super::block::Block;
use super::entries::{Entries, EntryId};
use super::entry::{Entry, Pin};

/// See the module.
pub(crate) struct Pinned<'a> {
    entries: &'a Entries,
    id: EntryId,
    entry: &'static Entry,
    /// There until this is dropped.
    pin: Option<Pin>,
    block: Block,
}

impl<'a> Pinned<'a> {
    /// The block of this entry; `None` if there is none, or somebody is at it.
    pub(super) fn new(entries: &'a Entries, id: EntryId, entry: &'static Entry) -> Option<Self> {
        let pin = entry.pin()?;
        let block = entry.block(pin.address());
        Some(Pinned { entries, id, entry, pin: Some(pin), block })
    }

    /// The block.
    pub(crate) fn block(&self) -> &Block {
        &self.block
    }

    /// The stamp that was left with the block first: this one, if none was.
    pub(crate) fn stamp(&self, now_ns: u64) -> u64 {
        self.entry.stamp(now_ns)
    }

    /// The word at this offset, as it is at this moment; `None` beyond the block. What it means, and whether anybody has
    /// written it yet, is for the caller to find out.
    pub(crate) fn word(&self, offset: usize) -> Option<u64> {
        if !offset.is_multiple_of(8) || offset + 8 > self.block.layout.size() {
            return None;
        }
        let word: u64;
        let address = self.block.address + offset;
        // SAFETY: an aligned word inside of a block that is not freed before this is dropped. In assembler, as it belongs
        // to somebody else, who may write it just now or never has.
        unsafe {
            asm!("mov {}, [{}]", out(reg) word, in(reg) address, options(nostack, readonly, preserves_flags))
        };
        Some(word)
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        if let Some(free) = self.pin.take().and_then(|pin| self.entry.unpin(pin)) {
            // Before the block is gone: the entry knows nothing of it any more, and nobody else has either.
            self.entries.give(self.id);
            // SAFETY: the owner of this block has left it with this.
            unsafe { free.free(&self.block) };
        }
    }
}
