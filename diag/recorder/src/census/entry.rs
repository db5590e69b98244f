//! What the census knows of one block, in one line, and how a reader looks into the block while it lives.
//!
//! | first word | meaning | who changes it |
//! |---|---|---|
//! | 0 | free, or its owner is filling it in | the owner opens it (Release): [`LIVE`] |
//! | `address \| LIVE` | the block is allocated, the other words are its own | a reader pins it, its owner closes or moves it |
//! | `address \| PINNED \| process` | a reader looks at entry and block | the reader unpins it, its owner closes it |
//! | `address \| MOVING` | its owner has it resized | its owner |
//!
//! Nobody waits for anybody. An owner that closes a pinned entry leaves the block to the reader: the reader's exchange
//! back to [`LIVE`] fails, and it does what is left of the free. So the block's memory stays while it is looked at.
//!
//! A reader may leave a [stamp](Entry::stamp) with a block that it has pinned, for the readers after it.
//!
//! A pin carries the number of its process: the readers of a parent are not in its child, where such an entry is as good
//! as [`LIVE`].
//!
//! A reader's Acquire at the pin pairs with the Release of `open`, so it reads this block's words; the owner's Acquire
//! at the close pairs with the Release of `unpin`, so what the reader read comes before the words of the next block.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::Layout;
#[cfg(not(all(test, diag_loom)))]
use std::arch::asm;

use super::block::{Block, Origin};
use super::free::Free;
use crate::core_layout::{Table, column};
use crate::fork;
#[cfg(not(all(test, diag_loom)))]
use crate::memory::Zeroed;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::unmodelled;

const LIVE: u64 = 1;
const PINNED: u64 = 2;
const MOVING: u64 = 3;
const STATE: u64 = 3;
/// Where the number of a reader's process begins, as far as there is room for it.
const PROCESS_BIT: u32 = 48;
const ADDRESS: u64 = (1 << PROCESS_BIT) - 1 - STATE;

/// The entry of a block.
#[repr(C, align(64))]
#[cfg_attr(all(test, diag_loom), derive(Default))]
pub(super) struct Entry {
    state: AtomicU64,
    birth: AtomicU64,
    /// `size << 8 | kind of the origin << 6 | power of two of the alignment`.
    shape: unmodelled::AtomicU64,
    origin: unmodelled::AtomicU64,
    born_ns: unmodelled::AtomicU64,
    /// `stack << 32 | thread`.
    place: unmodelled::AtomicU64,
    /// How the reader is to free the block, once it was left to it. Until then the first is a reader's stamp, or 0.
    free: [unmodelled::AtomicU64; 2],
}

const _: () = assert!(cfg!(diag_loom) || size_of::<Entry>() == 64);

#[cfg(not(all(test, diag_loom)))]
// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Entry {}

/// What a reader of cores is told of an entry.
pub(super) const fn core_table() -> Table {
    let columns = [
        column!(Entry, "state", state),
        column!(Entry, "birth", birth),
        column!(Entry, "shape", shape),
        column!(Entry, "origin", origin),
        column!(Entry, "born_ns", born_ns),
        column!(Entry, "place", place),
        column!(Entry, "stamp", free, 2),
    ];
    Table::new("census", size_of::<Entry>(), &columns)
}

/// In a word that else has a function's address: it is a stamp.
const STAMP: u64 = 1 << 63;

/// What becomes of a block that its owner frees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Its owner frees it.
    Ours,
    /// A reader looks at it, and frees block and entry when it is done.
    Left,
}

/// That a reader looks at an entry: the state that it has given it.
#[must_use = "the block is never freed if its owner leaves it to nobody"]
pub(super) struct Pin(u64);

impl Pin {
    /// Of the block that stays.
    pub(super) fn address(&self) -> usize {
        (self.0 & ADDRESS) as usize
    }
}

impl Entry {
    /// The block is in the census from now on. For who has taken the entry.
    pub(super) fn open(&self, block: &Block) {
        self.birth.store(block.birth, Ordering::Relaxed);
        let [kind, origin] = block.origin.words();
        self.shape.store(shape(block.layout, kind), Ordering::Relaxed);
        self.origin.store(origin, Ordering::Relaxed);
        self.born_ns.store(block.born_ns, Ordering::Relaxed);
        self.place.store(u64::from(block.stack) << 32 | u64::from(block.thread), Ordering::Relaxed);
        self.free[0].store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire of `pin`.
        self.state.store(block.address as u64 | LIVE, Ordering::Release);
    }

    /// The block of an open entry, which lies there. For its owner, and for who has pinned it, whom the entry itself may not
    /// tell the address any more.
    pub(super) fn block(&self, address: usize) -> Block {
        let (shape, place) = (self.shape.load(Ordering::Relaxed), self.place.load(Ordering::Relaxed));
        let (size, align) = ((shape >> 8) as usize, 1 << (shape & 0x3F));
        Block {
            address,
            layout: Layout::from_size_align(size, align).unwrap_or(Layout::new::<()>()),
            birth: self.birth.load(Ordering::Relaxed),
            origin: Origin::from_words([shape >> 6 & 3, self.origin.load(Ordering::Relaxed)]),
            born_ns: self.born_ns.load(Ordering::Relaxed),
            stack: (place >> 32) as u32,
            thread: place as u32,
        }
    }

    /// The block is about to be freed, by its owner; a reader that looks at it does so by `free`.
    #[inline]
    pub(super) fn close(&self, address: usize, free: Free) -> Closed {
        let live = address as u64 | LIVE;
        // Acquire: pairs with the Release of `unpin`.
        if self.state.compare_exchange(live, 0, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return Closed::Ours;
        }
        self.close_pinned(free)
    }

    #[cold]
    fn close_pinned(&self, free: Free) -> Closed {
        for (word, value) in self.free.iter().zip(free.words()) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire of `unpin`, which finds those words. Acquire: as in `close`, if the reader has
        // gone meanwhile.
        let before = self.state.swap(0, Ordering::AcqRel);
        if is_pinned(before) { Closed::Left } else { Closed::Ours }
    }

    /// Nobody looks at the block until it has [moved](Entry::moved); false if a reader does.
    pub(super) fn hold(&self, address: usize) -> bool {
        self.leave_live(self.state.load(Ordering::Relaxed), address as u64 | MOVING)
    }

    /// The block that was held lies there now, and has this layout.
    pub(super) fn moved(&self, address: usize, layout: Layout) {
        let kind = self.shape.load(Ordering::Relaxed) >> 6 & 3;
        self.shape.store(shape(layout, kind), Ordering::Relaxed);
        // Release: pairs with the Acquire of `pin`.
        self.state.store(address as u64 | LIVE, Ordering::Release);
    }

    /// The block that was held is in the census no more, and the entry is the caller's to give back.
    pub(super) fn give_up(&self) {
        self.state.store(0, Ordering::Relaxed);
    }

    /// Keeps the block where it is until it is [unpinned](Entry::unpin); `None` if there is none, or somebody is at it.
    pub(super) fn pin(&self) -> Option<Pin> {
        let seen = self.state.load(Ordering::Relaxed);
        let pinned = seen & ADDRESS | pin_of_process();
        self.leave_live(seen, pinned).then_some(Pin(pinned))
    }

    /// Has the processor fetch what a look at the block will read, if there is one: it waits for memory otherwise, block
    /// after block.
    pub(super) fn fetch_block(&self) {
        #[cfg(not(all(test, diag_loom)))]
        for offset in [0, 128, 448] {
            let address = self.state.load(Ordering::Relaxed) & ADDRESS;
            // SAFETY: a hint, which does nothing where there is no memory.
            unsafe {
                asm!("prefetcht0 [{}]", in(reg) address + offset, options(nostack, readonly, preserves_flags));
            }
        }
    }

    /// The stamp that was left with the block first: this one, if none was. For who has pinned it.
    pub(super) fn stamp(&self, now_ns: u64) -> u64 {
        let stamp = now_ns & !STAMP | STAMP;
        // Only over nothing: an owner who leaves the block just now writes there as well, and is not to be disturbed.
        match self.free[0].compare_exchange(0, stamp, Ordering::Relaxed, Ordering::Relaxed) {
            Err(before) if before & STAMP != 0 => before & !STAMP,
            _ => now_ns,
        }
    }

    /// Makes another state of that of a live block, unless somebody is at it.
    fn leave_live(&self, seen: u64, to: u64) -> bool {
        let is_live = seen & STATE == LIVE || seen & STATE == PINNED && !is_pinned(seen);
        // Acquire: pairs with the Release of `open`, `moved` and `unpin`.
        is_live && self.state.compare_exchange(seen, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The reader is done with the block; how it has to free it, if that was left to it. Then the entry is the reader's too.
    pub(super) fn unpin(&self, Pin(pinned): Pin) -> Option<Free> {
        let live = pinned & ADDRESS | LIVE;
        // Release: pairs with the Acquire of `close` and `hold`. Acquire: pairs with the Release of `close_pinned`.
        let back = self.state.compare_exchange(pinned, live, Ordering::Release, Ordering::Acquire);
        let words = || self.free.each_ref().map(|word| word.load(Ordering::Relaxed));
        // SAFETY: who has taken a pinned block away has written them, in `close_pinned`.
        back.is_err().then(|| unsafe { Free::from_words(words()) })
    }
}

/// The state of what a reader of this process looks at. Readers have asked for the process's number.
fn pin_of_process() -> u64 {
    PINNED | u64::from(fork::known() as u16) << PROCESS_BIT
}

/// True if somebody looks at the entry.
fn is_pinned(state: u64) -> bool {
    state & !ADDRESS == pin_of_process()
}

fn shape(layout: Layout, kind: u64) -> u64 {
    (layout.size() as u64) << 8 | kind << 6 | u64::from(layout.align().trailing_zeros())
}

#[cfg(all(test, not(diag_loom)))]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests may allocate")]
mod tests {
    use super::*;
    use crate::current::CurrentTask;
    use crate::task::SiteId;

    fn entry() -> Box<Entry> {
        // SAFETY: zeros are a value of it.
        Box::new(unsafe { std::mem::zeroed() })
    }

    fn block(origin: Origin) -> Block {
        let layout = Layout::from_size_align(3 << 40, 256).expect("a layout");
        Block {
            address: 0x7FFF_FFFF_FF80,
            layout,
            birth: 7,
            origin,
            born_ns: u64::MAX,
            stack: u32::MAX,
            thread: 5,
        }
    }

    #[test]
    fn an_entry_says_what_it_was_opened_with() {
        let task = CurrentTask::new(1 << 43, SiteId(77));
        for origin in [Origin::Outside, Origin::Recorded(task), Origin::Unrecorded(u64::MAX)] {
            let entry = entry();
            entry.open(&block(origin));
            assert_eq!(entry.block(block(origin).address), block(origin));
            assert!(entry.hold(block(origin).address) && entry.pin().is_none(), "its owner has it");
            let layout = Layout::from_size_align(640, 128).expect("a layout");
            entry.moved(4096, layout);
            assert_eq!(entry.block(4096), Block { address: 4096, layout, ..block(origin) });
        }
    }

    #[test]
    fn the_first_stamp_stays_until_the_block_goes_and_never_gets_in_the_way_of_a_free() {
        let (entry, block) = (entry(), block(Origin::Outside));
        entry.open(&block);
        for (now_ns, first_ns) in [(5, 5), (7, 5), (u64::MAX >> 1, 5)] {
            let pin = entry.pin().expect("it lives");
            assert_eq!(entry.stamp(now_ns), first_ns);
            assert!(entry.unpin(pin).is_none());
        }
        let pin = entry.pin().expect("it lives");
        let free = Free::nothing();
        assert_eq!(entry.close(block.address, free), Closed::Left);
        assert_eq!(entry.stamp(9), 9, "it is gone, and says nothing any more");
        assert_eq!(entry.unpin(pin).map(Free::words), Some(free.words()));
        entry.open(&block);
        let pin = entry.pin().expect("it lives");
        assert_eq!(entry.stamp(0), 0, "the next block has none yet");
        assert_eq!(entry.stamp(3), 0);
        assert!(entry.unpin(pin).is_none());
    }

    #[test]
    fn a_pinned_block_is_left_to_its_reader_once() {
        let (entry, block) = (entry(), block(Origin::Outside));
        assert!(entry.pin().is_none(), "there is nothing yet");
        entry.open(&block);
        let pin = entry.pin().expect("it lives");
        assert!(entry.pin().is_none() && !entry.hold(block.address), "one reader, and nobody else");
        assert!(entry.unpin(pin).is_none());
        assert_eq!(entry.close(block.address, Free::nothing()), Closed::Ours);
        entry.open(&block);
        let pin = entry.pin().expect("it lives");
        assert_eq!(entry.close(block.address, Free::nothing()), Closed::Left);
        assert!(entry.pin().is_none() && entry.unpin(pin).is_some());
    }
}

/// `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`
#[cfg(all(test, diag_loom))]
mod models {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    #[derive(Default)]
    struct Shared {
        entry: Entry,
        /// The birth of the block that lies at the address; 0 while it is free.
        memory: AtomicU64,
        /// How often it was freed.
        freed: AtomicUsize,
    }

    impl Shared {
        fn open(&self, birth: u64) {
            self.memory.store(birth, Ordering::Relaxed);
            self.entry.open(&block(birth));
        }

        /// What a free does besides. By swap: one that had read the memory before cannot see this.
        fn free(&self) {
            assert_ne!(self.memory.swap(0, Ordering::AcqRel), 0, "freed twice");
            self.freed.fetch_add(1, Ordering::Relaxed);
        }

        fn read(&self) {
            let Some(pin) = self.entry.pin() else { return };
            let seen = self.entry.block(pin.address());
            assert_eq!(seen, block(seen.birth));
            assert_eq!(self.memory.load(Ordering::Relaxed), seen.birth, "the block lives while it is pinned");
            self.entry.stamp(seen.birth);
            if self.entry.unpin(pin).is_some() {
                self.free();
            }
        }
    }

    fn block(birth: u64) -> Block {
        let layout = Layout::from_size_align(128, 128).unwrap();
        Block { address: 4096, layout, birth, origin: Origin::Outside, born_ns: 0, stack: 0, thread: 0 }
    }

    /// A reader beside an owner that frees a block, gets the same address again, and takes the same entry if it has it.
    #[test]
    fn a_block_is_freed_once_and_not_while_it_is_looked_at() {
        loom::model(|| {
            let shared = Arc::new(Shared::default());
            shared.open(1);
            let reader = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.read();
                    shared.read();
                })
            };
            let mut freed = 1;
            if shared.entry.close(4096, Free::nothing()) == Closed::Ours {
                shared.free();
                shared.open(2);
                if shared.entry.close(4096, Free::nothing()) == Closed::Ours {
                    shared.free();
                }
                freed = 2;
            }
            reader.join().unwrap();
            assert_eq!(shared.freed.load(Ordering::Relaxed), freed, "each block once");
        });
    }

    /// A reader beside an owner that has its block resized and then frees it.
    #[test]
    fn a_block_that_moves_is_not_looked_at() {
        loom::model(|| {
            let shared = Arc::new(Shared::default());
            shared.open(1);
            let reader = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.read())
            };
            if shared.entry.hold(4096) {
                // Somewhere else for a moment.
                shared.memory.store(0, Ordering::Relaxed);
                shared.memory.store(1, Ordering::Relaxed);
                shared.entry.moved(4096, block(1).layout);
            }
            if shared.entry.close(4096, Free::nothing()) == Closed::Ours {
                shared.free();
            }
            reader.join().unwrap();
            assert_eq!(shared.freed.load(Ordering::Relaxed), 1);
        });
    }
}
