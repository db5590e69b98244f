//! Pitfalls 1 and 2: a sampled block is an ordinary block: its bytes, its alignment and its bookkeeping are right
//! through every way of allocating, resizing and freeing it.
//!
//! The allocator is used as a value here and every block is recorded (rate 0), so the live samples
//! are exactly the blocks that a test holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static FAILS: AtomicBool = AtomicBool::new(false);

/// The system's allocator, which refuses while `FAILS` is set and fills what it gives with rubbish.
struct Rough;

// SAFETY: null or the system's answer.
unsafe impl GlobalAlloc for Rough {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FAILS.load(Ordering::Relaxed) {
            return std::ptr::null_mut();
        }
        // SAFETY: by the promise of the caller; the block is as large as is written.
        unsafe {
            let block = System.alloc(layout);
            block.write_bytes(0xDD, layout.size());
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the promise of the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

static ALLOC: diag::Alloc<Rough> = diag::Alloc::new(Rough);

/// One test at a time: the live set is one.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    diag::heap::enable(0).expect("the test machine has address space");
    // The allocator is not the global one: the snapshot has a heap once there was a sample.
    Block::new(1, 1).free();
    guard
}

/// A block with a pattern in it.
struct Block {
    start: *mut u8,
    layout: Layout,
}

impl Block {
    fn new(size: usize, align: usize) -> Block {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        // SAFETY: non-zero size.
        let start = unsafe { ALLOC.alloc(layout) };
        assert!(!start.is_null());
        let mut block = Block { start, layout };
        assert!(block.start.addr().is_multiple_of(align), "{size} bytes aligned to {align}");
        block.fill(0);
        block
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: our own block; `new`, `zeroed` and `fill` have written all of it.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.layout.size()) }
    }

    fn fill(&mut self, from: usize) {
        for at in from..self.layout.size() {
            // SAFETY: inside of the block.
            unsafe { self.start.add(at).write((at % 251) as u8) };
        }
    }

    /// Resizes, checks that the common part came along, and fills the rest.
    fn resize(&mut self, size: usize) {
        // SAFETY: our own block with its layout; the new size is not zero.
        let new = unsafe { ALLOC.realloc(self.start, self.layout, size) };
        assert!(!new.is_null());
        let kept = self.layout.size().min(size);
        self.start = new;
        self.layout = Layout::from_size_align(size, self.layout.align()).expect("a layout");
        assert!(self.start.addr().is_multiple_of(self.layout.align()));
        let whole = (0..kept).all(|at| {
            // SAFETY: inside of the block, in the part that was written before.
            unsafe { self.start.add(at).read() == (at % 251) as u8 }
        });
        assert!(whole, "bytes lost on the way to {size}");
        self.fill(kept);
    }

    fn free(self) {
        // SAFETY: our own block with its layout, once.
        unsafe { ALLOC.dealloc(self.start, self.layout) }
    }
}

/// Sizes of the live samples by ascending birth, and how many were refused.
fn live() -> (Vec<u64>, u64) {
    let heap = diag::snapshot().into_model().heap.expect("the sampler is on");
    (heap.samples.iter().map(|sample| sample.size_bytes).collect(), heap.facts.refused)
}

/// Allocates the first size, resizes to the others in turn, frees; the one sample must have the size of
/// the block at each step.
fn check(sizes: &[usize], align: usize) {
    let (before, refused) = live();
    assert!(before.is_empty(), "left over: {before:?}");
    let mut block = Block::new(sizes[0], align);
    for (i, &size) in sizes.iter().enumerate() {
        if i > 0 {
            block.resize(size);
        }
        assert_eq!(live(), (vec![size as u64], refused), "{sizes:?} at {size}");
    }
    block.free();
    assert_eq!(live(), (vec![], refused), "{sizes:?} freed");
}

#[test]
fn every_size_lives_once() {
    let _alone = alone();
    for size in [1, 63, 64, 65, 4_096, 8_192, 8_193, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
        check(&[size], 1);
    }
}

#[test]
fn alignment_is_kept() {
    let _alone = alone();
    for align in [1, 8, 64, 512, 4_096, 16_384] {
        check(&[24], align);
        check(&[24, 5_000, 100_000, 30], align);
    }
    // Beyond the largest slot a small block cannot be sampled; a large one can.
    check(&[20_000, 200_000], 65_536);
    let (_, refused) = live();
    Block::new(24, 65_536).free();
    assert_eq!(live(), (vec![], refused + 1), "refused and counted");
}

#[test]
fn resizing_keeps_the_block_and_its_sample() {
    let _alone = alone();
    let table: [&[usize]; 8] = [
        &[10, 40, 64],                          // in its slot
        &[10, 100, 1_000, 10_000, 16_384],      // from slot to slot
        &[100, 16_384, 17_000],                 // a slot holds LARGE bytes, then it leaves
        &[100, 20_000],                         // from a slot to the table
        &[20_000, 40_000, 1 << 20, 20_000],     // within the table
        &[20_000, 100],                         // from the table to a slot
        &[16_384, 16_383, 16_384, 16_385, 1],   // around the limit
        &[9_000, 30_000, 9_000, 30_000, 9_000], // to and fro
    ];
    table.iter().for_each(|sizes| check(sizes, 8));
}

#[test]
fn zeroed_blocks_are_zero_also_in_used_slots() {
    let _alone = alone();
    for size in [1, 100, 5_000, 16_383, 20_000] {
        Block::new(size, 8).free();
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        // SAFETY: non-zero size.
        let start = unsafe { ALLOC.alloc_zeroed(layout) };
        let mut block = Block { start, layout };
        assert!(block.bytes().iter().all(|&byte| byte == 0), "{size} bytes");
        assert_eq!(live().0, [size as u64]);
        block.free();
    }
}

#[test]
fn a_failed_resize_leaves_the_block_as_it_was() {
    let _alone = alone();
    for (size, new_size) in [(100, 40_000), (20_000, 40_000), (20_000, 1 << 20)] {
        let mut block = Block::new(size, 8);
        let before = live();
        FAILS.store(true, Ordering::Relaxed);
        // SAFETY: our own block with its layout.
        let new = unsafe { ALLOC.realloc(block.start, block.layout, new_size) };
        FAILS.store(false, Ordering::Relaxed);
        assert!(new.is_null());
        assert_eq!(live(), before, "{size} to {new_size}");
        assert!(block.bytes().iter().enumerate().all(|(at, &byte)| byte == (at % 251) as u8));
        block.resize(new_size);
        block.free();
        assert!(live().0.is_empty());
    }
}

/// What the sampler has counted since start: births, refusals, blocks and bytes by stack, what was dropped.
fn counted() -> impl PartialEq + std::fmt::Debug {
    let snapshot = diag::snapshot().into_model();
    let heap = snapshot.heap.expect("the sampler is on");
    // In the order of the stacks, which is that of the file.
    let totals: Vec<_> = heap.stack_totals.iter().collect();
    (heap.facts.next_birth, heap.facts.refused, totals, heap.stack_ages, snapshot.capture.dropped)
}

/// Whether every block is recorded, or so large a one is always a sample.
#[test]
fn a_failed_allocation_leaves_no_trace() {
    let _alone = alone();
    let (small, large) = (Layout::new::<[u8; 50]>(), Layout::new::<[u8; 1 << 20]>());
    for rate in [0, 1_024] {
        diag::heap::enable(rate).expect("the tables are there");
        for layout in [small, large] {
            let before = counted();
            FAILS.store(true, Ordering::Relaxed);
            // A small one may get a slot, which is ours to give.
            // SAFETY: non-zero sizes; what is given is freed.
            let given = unsafe { [ALLOC.alloc(layout), ALLOC.alloc_zeroed(layout)] };
            FAILS.store(false, Ordering::Relaxed);
            if layout == large {
                assert_eq!(given, [std::ptr::null_mut(); 2]);
                assert_eq!(counted(), before, "at rate {rate}");
            }
            for block in given.into_iter().filter(|block| !block.is_null()) {
                // SAFETY: as above.
                unsafe { ALLOC.dealloc(block, layout) };
            }
        }
        assert!(live().0.is_empty());
    }
}

#[test]
fn a_failed_growth_leaves_no_trace() {
    let _alone = alone();
    for rate in [0, 1_024] {
        // Of blocks that are no sample yet, and of one that is.
        for (sampled, size) in [(false, 20), (false, 20_000), (true, 100_000)] {
            if !sampled {
                diag::heap::disable();
            }
            let mut block = Block::new(size, 8);
            diag::heap::enable(rate).expect("the tables are there");
            assert_eq!(live().0.len(), usize::from(sampled), "{size} bytes at rate {rate}");
            let before = (live(), counted());
            FAILS.store(true, Ordering::Relaxed);
            // SAFETY: our own block with its layout.
            let new = unsafe { ALLOC.realloc(block.start, block.layout, 1 << 20) };
            FAILS.store(false, Ordering::Relaxed);
            assert!(new.is_null());
            assert_eq!((live(), counted()), before, "{size} bytes at rate {rate}");
            for size in [1 << 20, 1, 1 << 20] {
                block.resize(size);
            }
            assert_eq!(live().0, [1 << 20], "{size} bytes at rate {rate}, in the end");
            block.free();
            assert!(live().0.is_empty());
        }
    }
}

/// A sample whose point lies in the bytes that it gives up is none any more, wherever its block lies; if there is
/// no memory to move that to, it stays. What is counted in and out is what lives.
#[test]
fn a_block_that_shrinks_is_let_go_or_stays() {
    let _alone = alone();
    let (mut gone, mut stayed) = (0, 0);
    for (i, size) in [16_000, 30_000, 60_000].into_iter().cycle().take(240).enumerate() {
        // 86 in 100 are samples, and of these 73 stay so.
        diag::heap::enable(size as u64 / 2).expect("the tables are there");
        let mut block = Block::new(size, 8);
        let was_sampled = !live().0.is_empty();
        let fails = i % 4 == 0 && size == 16_000;
        FAILS.store(fails && was_sampled, Ordering::Relaxed);
        block.resize(size / 2);
        FAILS.store(false, Ordering::Relaxed);
        match live().0[..] {
            [] if was_sampled => {
                assert!(!fails, "there was no memory for it");
                gone += 1;
            }
            [] => {}
            [half] => {
                assert!(was_sampled && half == size as u64 / 2);
                stayed += 1;
            }
            _ => panic!("one block"),
        }
        block.free();
    }
    assert!(live().0.is_empty());
    assert!(gone > 20 && stayed > 80, "{gone} are gone, {stayed} stayed");
}

#[test]
fn a_block_that_becomes_due_while_it_grows_is_sampled() {
    let _alone = alone();
    diag::heap::disable();
    for (size, grown) in [(100, 9_000), (100, 30_000), (20_000, 30_000)] {
        // The thread looks at the rate at its first allocation, so let it see that sampling is off.
        let mut block = Block::new(size, 8);
        assert!(live().0.is_empty(), "allocated while off");
        diag::heap::enable(0).expect("address space");
        block.resize(grown);
        assert_eq!(live().0, [grown as u64]);
        block.free();
        assert!(live().0.is_empty());
        diag::heap::disable();
    }
}

#[test]
fn a_block_freed_by_another_thread_is_gone() {
    let _alone = alone();
    let blocks: Vec<(usize, Layout)> = [64, 8_000, 20_000, 1 << 20]
        .into_iter()
        .map(|size| Block::new(size, 8))
        .map(|block| (block.start.expose_provenance(), block.layout))
        .collect();
    assert_eq!(live().0.len(), blocks.len());
    std::thread::spawn(move || {
        for (start, layout) in blocks {
            Block { start: std::ptr::with_exposed_provenance_mut(start), layout }.free();
        }
    })
    .join()
    .expect("the thread frees them");
    assert!(live().0.is_empty());
}
