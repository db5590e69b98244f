//! The census: every live block that is aligned to 128 or 256 bytes and may hold a value of a type so aligned, exactly.
//!
//! tokio pads what threads share to two cache lines: the cell of each task, the shared part of an mpsc channel, the
//! registration of a socket. So an allocator sees each of them made and freed, by its `Layout` alone, whoever spawned
//! it. Few others are so aligned. Which block is what is learnt and never assumed. Each has one entry,
//! from the allocation to the free. What nobody is sure of is unknown, and that is a kind as well.
//!
//! | file | what |
//! |---|---|
//! | `block` | a block, as whoever asks gets it |
//! | `entry`, `pinned`, `free` | what is known of one block; how a reader looks into it while it lives; how a block is freed that was left to the reader |
//! | `entries` | where entries live, and which are free |
//! | `addresses` | from a block's address to its entry |
//! | `growing` | an array in memory that is ours, and grows in place |
//! | `table` | all of it together |
//! | `kinds/` | what each block is |
//!
//! Nothing here waits, allocates or panics; memory is mapped as the census grows. Without room a block is left out, and
//! counted.
//!
//! In a forked child the census is its parent's, as the blocks are. What a thread of the parent was about to do stays
//! half done: at most an entry of it is lost, or a block that was being resized.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

mod addresses;
mod block;
mod entries;
mod entry;
mod free;
#[cfg(not(all(test, diag_loom)))]
mod growing;
#[cfg(all(test, diag_loom))]
#[path = "growing_fixed.rs"]
mod growing;
mod kinds;
mod pinned;
mod table;
#[cfg(all(test, not(diag_loom)))]
mod tests;

pub(crate) use block::{Block, Origin};
pub(crate) use free::Free;
use growing::Growing;
pub(crate) use kinds::{Cell, Cells, Found, Kind, Rules, TaskFacts, is_learning, rules};
pub(crate) use pinned::Pinned;
use table::Table;
pub(crate) use table::{Ended, Held};

use std::alloc::Layout;

use crate::dropped::Dropped;
use crate::fork::Lock;
use crate::task::context;

static REFUSED: Dropped = Dropped::new(
    "census_refused",
    "a task, channel or socket of a library is not in the census, as there was no room for it",
);

#[cfg(not(all(test, diag_loom)))]
fn table() -> &'static Table {
    static TABLE: Table = Table::new();
    &TABLE
}

/// Loom's atomics are in no static. Models bring tables of their own, and never come here.
#[cfg(all(test, diag_loom))]
fn table() -> &'static Table {
    unreachable!("models have tables of their own")
}

/// True for what the census has. Larger alignments are those of pages and of buffers for the disk, and other sizes those of
/// bytes alone, as arrow's buffers are: the size of each type is a multiple of its alignment.
#[inline]
pub(crate) fn has(layout: Layout) -> bool {
    (128..=256).contains(&layout.align()) && layout.size() & (layout.align() - 1) == 0
}

/// Enters a block that the caller has allocated, and numbers it; false if there is no room, which is counted.
pub(crate) fn enter(block: Block) -> bool {
    let entered = table().enter(&Block { birth: context::take_id(), ..block });
    if !entered {
        count_refused();
    }
    entered
}

/// Counts a block that is left out, as there was no room.
#[cold]
pub(crate) fn count_refused() {
    REFUSED.count();
}

/// Takes a block out that is about to be freed; if somebody looks at it, who then frees it by `free`.
pub(crate) fn end(address: usize, free: Free) -> Ended {
    table().end(address, free)
}

/// Takes a block out of sight that is about to be resized.
pub(crate) fn hold(address: usize) -> Held<'static> {
    table().hold(address)
}

/// True if no block was ever entered: the service has another allocator, or wants no census.
pub(crate) fn is_empty() -> bool {
    table().is_empty()
}

/// How many blocks live, about: for who makes room for them.
pub(crate) fn len() -> usize {
    table().len()
}

/// Shows each block that lives. Those that are made or freed meanwhile may be there or not. Not for hooks.
pub(crate) fn each(look: impl FnMut(&Pinned<'_>)) {
    /// A reader misses what another one looks at.
    static READER: Lock<()> = Lock::new(());
    // Which asks for the number of this process, as pins need it.
    let _turn = READER.lock();
    table().each(look);
}
