//! Where every block is recorded, the counts agree with exact counters to the byte.
//!
//! The counters stand in front of the allocator under test and see every call.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use diag::heap::testing::HeapStats;

static LIVE_BLOCKS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);
static TOTAL_BLOCKS: AtomicU64 = AtomicU64::new(0);
static TOTAL_BYTES: AtomicU64 = AtomicU64::new(0);

struct Counting(diag::Alloc);

fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

fn sub(counter: &AtomicU64, n: usize) {
    counter.fetch_sub(n as u64, Ordering::Relaxed);
}

impl Counting {
    fn born(&self, bytes: usize) {
        add(&LIVE_BLOCKS, 1);
        add(&TOTAL_BLOCKS, 1);
        add(&LIVE_BYTES, bytes);
        add(&TOTAL_BYTES, bytes);
    }
}

// SAFETY: hands everything through.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.born(layout.size());
        // SAFETY: by the promise of the caller.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.born(layout.size());
        // SAFETY: by the promise of the caller.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        sub(&LIVE_BLOCKS, 1);
        sub(&LIVE_BYTES, layout.size());
        // SAFETY: by the promise of the caller.
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        add(&LIVE_BYTES, new_size);
        sub(&LIVE_BYTES, layout.size());
        add(&TOTAL_BYTES, new_size.saturating_sub(layout.size()));
        // SAFETY: by the promise of the caller.
        unsafe { self.0.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOC: Counting = Counting(diag::Alloc::system());

/// Blocks and bytes that live, and blocks and bytes ever allocated.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    live_blocks: u64,
    live_bytes: u64,
    total_blocks: u64,
    total_bytes: u64,
}

fn truth() -> Counts {
    Counts {
        live_blocks: LIVE_BLOCKS.load(Ordering::Relaxed),
        live_bytes: LIVE_BYTES.load(Ordering::Relaxed),
        total_blocks: TOTAL_BLOCKS.load(Ordering::Relaxed),
        total_bytes: TOTAL_BYTES.load(Ordering::Relaxed),
    }
}

fn counted() -> Counts {
    let HeapStats { live_blocks, live_bytes, total_blocks, total_bytes, .. } = HeapStats::now();
    Counts { live_blocks, live_bytes, total_blocks, total_bytes }
}

/// What came after `earlier`; the live counts may have fallen.
fn since(later: Counts, earlier: Counts) -> Counts {
    Counts {
        live_blocks: later.live_blocks.wrapping_sub(earlier.live_blocks),
        live_bytes: later.live_bytes.wrapping_sub(earlier.live_bytes),
        total_blocks: later.total_blocks - earlier.total_blocks,
        total_bytes: later.total_bytes - earlier.total_bytes,
    }
}

/// Collections of all kinds that grow, shrink and go; what it returns is still held.
fn work(
    seed: usize,
    shared: &Mutex<VecDeque<Vec<u8>>>,
) -> (HashMap<String, Vec<u64>>, BTreeMap<usize, String>) {
    let (mut words, mut numbers) = (HashMap::new(), BTreeMap::new());
    for i in 0..2_000_usize {
        let n = i.wrapping_mul(seed) % 701;
        words.entry(format!("word {n}")).or_insert_with(Vec::new).push(i as u64);
        numbers.insert(n, "x".repeat(n));
        shared.lock().expect("no panic under it").push_back(vec![0; n * 97]);
        if i % 3 > 0 {
            shared.lock().expect("no panic under it").pop_front();
        }
        if i % 10 == 0 {
            words.values_mut().for_each(Vec::shrink_to_fit);
            numbers.pop_first();
        }
    }
    (words, numbers)
}

#[test]
fn the_counts_agree_to_the_byte() {
    let counted_before = counted();
    let before = truth();
    let shared = Mutex::new(VecDeque::new());
    let held: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=4)
            .map(|seed| {
                scope.spawn({
                    let shared = &shared;
                    move || work(seed * 7, shared)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it works")).collect()
    });
    let expected = since(truth(), before);
    assert_eq!(since(counted(), counted_before), expected_after_look(expected));
    assert!(expected.live_bytes > 1_000_000, "{expected:?}");

    drop((held, shared));
    let left = since(truth(), before);
    assert_eq!(since(counted(), counted_before).live_bytes, left.live_bytes);
}

/// A look at the counts makes and frees a box of one byte, to see that the allocator is linked.
fn expected_after_look(expected: Counts) -> Counts {
    Counts { total_blocks: expected.total_blocks + 1, total_bytes: expected.total_bytes + 1, ..expected }
}
