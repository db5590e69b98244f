#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests may allocate"
)]

use std::alloc::{GlobalAlloc, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::table::Table;
use super::*;
use crate::{fork, sys};

/// Any table, for ever.
fn table() -> &'static Table {
    fork::process();
    Box::leak(Box::new(Table::new()))
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 128).expect("a layout")
}

fn block(address: usize, layout: Layout, birth: u64) -> Block {
    Block {
        address,
        layout,
        birth,
        origin: Origin::Outside,
        born_ns: birth,
        stack: 3,
        thread: birth as u32 % 70,
    }
}

fn births(table: &Table) -> Vec<u64> {
    let mut births = Vec::new();
    table.each(|pinned| births.push(pinned.block().birth));
    births.sort_unstable();
    births
}

#[test]
fn a_block_is_there_from_its_birth_to_its_end() {
    let table = table();
    let blocks: Vec<Block> = (1..=500).map(|birth| block(birth as usize * 128, layout(128), birth)).collect();
    assert!(blocks.iter().all(|block| table.enter(block)));
    assert!(births(table).into_iter().eq(1..=500));
    for block in blocks.iter().filter(|block| block.birth % 2 == 0) {
        assert_eq!(table.end(block.address, Free::nothing()), Ended::Ours(*block));
        assert_eq!(table.end(block.address, Free::nothing()), Ended::Unknown);
    }
    assert!(births(table).into_iter().eq((1..=500).step_by(2)));
}

#[test]
fn a_block_that_is_resized_keeps_its_birth() {
    let table = table();
    assert!(table.enter(&block(4096, layout(256), 7)));
    let Held::Moving(moving) = table.hold(4096) else { panic!("nobody looks at it") };
    assert!(births(table).is_empty() && matches!(table.hold(4096), Held::Unknown), "nobody finds it");
    assert_eq!(moving.moved(8192, layout(512)), None);
    let Held::Moving(moving) = table.hold(8192) else { panic!("it has moved") };
    moving.put_back();
    assert_eq!(table.end(4096, Free::nothing()), Ended::Unknown);
    let moved = Block { address: 8192, layout: layout(512), ..block(4096, layout(256), 7) };
    assert_eq!(table.end(8192, Free::nothing()), Ended::Ours(moved));
}

/// Freed blocks of one that is looked at, by their addresses.
static LEFT: AtomicU64 = AtomicU64::new(0);

unsafe fn leave(_: *const (), block: &Block) {
    LEFT.fetch_add(block.birth, Ordering::Relaxed);
}

#[test]
fn a_block_that_is_looked_at_is_freed_by_who_looks() {
    // SAFETY: it may be called at any time.
    let free = || unsafe { Free::new(leave, std::ptr::null()) };
    let table = table();
    assert!(table.enter(&block(4096, layout(256), 50)));
    let mut looks = 0;
    table.each(|pinned| {
        if pinned.block().birth != 50 {
            return;
        }
        looks += 1;
        assert!(matches!(table.hold(4096), Held::Pinned));
        assert_eq!(table.end(4096, free()), Ended::Left);
        assert_eq!(LEFT.load(Ordering::Relaxed), 0, "not yet");
        assert!(table.enter(&block(4096 + 128, layout(128), 51)), "in an entry of its own");
    });
    assert_eq!((looks, LEFT.load(Ordering::Relaxed)), (1, 50));
    assert_eq!(births(table), [51]);
}

#[test]
fn a_child_goes_on_with_what_its_parent_was_looking_at() {
    let table = table();
    assert!(table.enter(&block(4096, layout(256), 1)) && table.enter(&block(8192, layout(256), 2)));
    let (looking, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            table.each(|_| {
                looking.store(true, Ordering::Release);
                while !done.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
        });
        while !looking.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let goes_on = || {
            fork::process();
            let ends = |address| matches!(table.end(address, Free::nothing()), Ended::Ours(_));
            births(table) == [1, 2] && ends(4096) && ends(8192) && table.enter(&block(4096, layout(256), 3))
        };
        assert_eq!(sys::forked(goes_on), Some(true), "nobody looks there");
        done.store(true, Ordering::Release);
    });
    assert_eq!(births(table), [1, 2], "the parent noticed nothing");
}

/// Blocks of a real allocator, each full of one word, which is its birth for as long as it is allocated.
struct Churn {
    table: &'static Table,
    made: AtomicUsize,
    freed: AtomicUsize,
}

const POISON: u64 = 0xDEAD;

impl Churn {
    fn make(&self, birth: u64, size: usize) -> Block {
        // SAFETY: a layout of non-zero size.
        let memory = unsafe { System.alloc(layout(size)) };
        let block = block(memory.addr(), layout(size), birth);
        memory.expose_provenance();
        write(&block, birth);
        self.made.fetch_add(1, Ordering::Relaxed);
        assert!(self.table.enter(&block));
        block
    }

    fn end(&self, block: &Block) -> bool {
        // SAFETY: the churn lives for ever, and so does its allocator.
        let free = unsafe { Free::new(free_block, std::ptr::from_ref(self).cast()) };
        match self.table.end(block.address, free) {
            Ended::Ours(ended) => {
                assert_eq!(ended, *block);
                // SAFETY: ours, and not used again.
                unsafe { free_block(std::ptr::from_ref(self).cast(), block) };
                false
            }
            Ended::Left => true,
            Ended::Unknown => panic!("{block:?} was entered"),
        }
    }

    /// As a realloc: in place of the block there is another, with the same birth.
    fn resize(&self, block: &Block, size: usize) -> Block {
        let Held::Moving(moving) = self.table.hold(block.address) else { return *block };
        // SAFETY: with the layout that it has, and written within the new one.
        let memory = unsafe { System.realloc(at(block), block.layout, size) };
        memory.expose_provenance();
        let moved = Block { address: memory.addr(), layout: layout(size), ..*block };
        write(&moved, block.birth);
        assert_eq!(moving.moved(moved.address, moved.layout), None);
        moved
    }
}

fn at(block: &Block) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(block.address)
}

/// Word by word, each at once: somebody may be looking.
fn write(block: &Block, word: u64) {
    for offset in (0..block.layout.size()).step_by(8) {
        // SAFETY: inside of a block of ours, which is aligned.
        unsafe { AtomicU64::from_ptr(at(block).add(offset).cast()).store(word, Ordering::Relaxed) };
    }
}

unsafe fn free_block(churn: *const (), block: &Block) {
    write(block, POISON);
    // SAFETY: the churn of `end`; the block is freed once, with the layout that it has.
    unsafe {
        (*churn.cast::<Churn>()).freed.fetch_add(1, Ordering::Relaxed);
        System.dealloc(at(block), block.layout);
    }
}

/// Threads that make, resize and free blocks, their own and each other's, beside one that looks into all of them.
#[test]
fn what_is_looked_at_is_whole_and_all_is_freed_once() {
    const THREADS: u64 = 3;
    /// At least, and as long as the reader has not looked so often.
    const STEPS: u64 = 60_000;
    const LOOKS: usize = 10_000;
    let churn: &Churn =
        Box::leak(Box::new(Churn { table: table(), made: AtomicUsize::new(0), freed: AtomicUsize::new(0) }));
    let shared: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    let (running, left, seen) =
        (AtomicUsize::new(THREADS as usize), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 1..=THREADS {
            let (shared, running, left, seen) = (&shared, &running, &left, &seen);
            scope.spawn(move || {
                let (mut random, mut own) = (thread, Vec::new());
                let is_over = |step: u64| step >= STEPS && seen.load(Ordering::Relaxed) > LOOKS;
                for step in (0..).take_while(|step| !is_over(*step)) {
                    random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    let (dice, size) = (random >> 60, 128 << (random >> 40 & 3));
                    match dice {
                        0..6 => own.push(churn.make(thread << 32 | step, size)),
                        6 => own
                            .pop()
                            .into_iter()
                            .for_each(|block| shared.lock().expect("no panic").push(block)),
                        7 => own.pop().into_iter().for_each(|block| own.push(churn.resize(&block, size))),
                        8 => {
                            let other = shared.lock().expect("no panic").pop();
                            left.fetch_add(
                                other.iter().filter(|block| churn.end(block)).count(),
                                Ordering::Relaxed,
                            );
                        }
                        _ if own.len() > 50 => {
                            let block = own.swap_remove(random as usize >> 20 & 31);
                            left.fetch_add(usize::from(churn.end(&block)), Ordering::Relaxed);
                        }
                        _ => {}
                    }
                }
                own.iter().for_each(|block| _ = churn.end(block));
                running.fetch_sub(1, Ordering::Release);
            });
        }
        scope.spawn(|| {
            while running.load(Ordering::Acquire) > 0 {
                churn.table.each(|pinned| {
                    let (birth, last) = (pinned.block().birth, pinned.block().layout.size() - 8);
                    assert_eq!(
                        [pinned.word(0), pinned.word(last)],
                        [Some(birth); 2],
                        "it lives, and is whole"
                    );
                    assert_eq!([pinned.word(last + 8), pinned.word(4)], [None; 2]);
                    seen.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
    });
    shared.into_inner().expect("no panic").iter().for_each(|block| _ = churn.end(block));
    let (made, freed) = (churn.made.load(Ordering::Relaxed), churn.freed.load(Ordering::Relaxed));
    assert_eq!(made, freed, "each once");
    assert!(births(churn.table).is_empty());
    assert!(
        made > 30_000 && seen.load(Ordering::Relaxed) > 1_000,
        "{made} blocks, {seen:?} looks, {left:?} left"
    );
}
