//! Pitfall 1: while a block moves, its old address may already be another block's.
//!
//! The inner allocator here does on purpose what another thread may do by chance: inside of `realloc`, once the
//! old block is free, somebody allocates through diag and gets its address.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The address that the next allocation of this size gets.
static FREE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static FREE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What the other thread got.
static OTHER: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

struct Reusing;

// SAFETY: the system's blocks; one that is set aside is handed out again only once, for its own layout.
unsafe impl GlobalAlloc for Reusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() == FREE_BYTES.load(Ordering::Relaxed) {
            let block = FREE.swap(std::ptr::null_mut(), Ordering::Relaxed);
            if !block.is_null() {
                return block;
            }
        }
        // SAFETY: by the promise of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the promise of the caller.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by the promise of the caller; the old block is not freed but handed out again below.
        let new = unsafe { System.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        // SAFETY: two different blocks that hold the smaller size.
        unsafe { std::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size)) };
        FREE_BYTES.store(layout.size(), Ordering::Relaxed);
        FREE.store(block, Ordering::Relaxed);
        // SAFETY: a layout of non-zero size.
        OTHER.store(unsafe { ALLOC.alloc(layout) }, Ordering::Relaxed);
        new
    }
}

static ALLOC: diag::Alloc<Reusing> = diag::Alloc::new(Reusing);

fn live() -> Vec<u64> {
    diag::snapshot()
        .into_model()
        .heap
        .map_or(vec![], |heap| heap.samples.iter().map(|sample| sample.size_bytes).collect())
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

#[test]
fn an_address_that_is_reused_during_a_move_is_the_new_blocks() {
    diag::heap::enable(0).expect("the test machine has address space");
    for (size, new_size) in [(20_000, 40_000), (40_000, 20_000), (100_000, 16_384)] {
        // SAFETY: layouts of non-zero size, each block freed once with its own.
        unsafe {
            let block = ALLOC.alloc(layout(size));
            block.write(7);
            let moved = ALLOC.realloc(block, layout(size), new_size);
            let other = OTHER.load(Ordering::Relaxed);
            assert_eq!((other, moved.read()), (block, 7), "the inner allocator did its trick");
            // By birth: the moved block is the older one.
            assert_eq!(live(), [new_size as u64, size as u64]);
            ALLOC.dealloc(moved, layout(new_size));
            assert_eq!(live(), [size as u64], "the block at the old address lives on");
            ALLOC.dealloc(other, layout(size));
            assert!(live().is_empty());
        }
    }
}
