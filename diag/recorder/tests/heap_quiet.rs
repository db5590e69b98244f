//! Pitfall 3: the hook calls nothing of the allocator but the one call that it stands for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

static REENTERED: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Runs `call` of the allocator under test and notes any other call that happens inside of it.
fn watched<T>(call: impl FnOnce() -> T) -> T {
    CALLS.fetch_add(1, Ordering::Relaxed);
    if INSIDE.replace(true) {
        REENTERED.fetch_add(1, Ordering::Relaxed);
    }
    let result = call();
    INSIDE.set(false);
    result
}

struct Watched(diag::Alloc<System>);

// SAFETY: hands everything through.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the promise of the caller.
        watched(|| unsafe { self.0.alloc(layout) })
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the promise of the caller.
        watched(|| unsafe { self.0.alloc_zeroed(layout) })
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the promise of the caller.
        watched(|| unsafe { self.0.dealloc(block, layout) })
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by the promise of the caller.
        watched(|| unsafe { self.0.realloc(block, layout, new_size) })
    }
}

#[global_allocator]
static ALLOC: Watched = Watched(diag::Alloc::system());

#[test]
fn the_hook_does_not_allocate() {
    diag::heap::enable(0).expect("the test machine has address space");
    let work = || {
        let mut text = String::new();
        (0..2_000).for_each(|i| text.push_str(&format!("{i} ")));
        let map: std::collections::HashMap<_, _> =
            text.split(' ').map(|word| (word.to_owned(), word.len())).collect();
        vec![0_u8; 40_000].len() + map.len()
    };
    let held = String::from("held until the end");
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
    let done: usize = threads.into_iter().map(|thread| thread.join().expect("it works")).sum();
    assert_eq!(done, 4 * (40_000 + 2_001));
    assert!(CALLS.load(Ordering::Relaxed) > 8_000);
    assert_eq!(REENTERED.load(Ordering::Relaxed), 0);
    let heap = diag::snapshot().into_model().heap.expect("the sampler is linked and on");
    assert!(heap.samples.iter().any(|sample| sample.size_bytes == held.len() as u64));
}
