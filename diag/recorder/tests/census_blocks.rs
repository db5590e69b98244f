//! Which blocks the census has: all that are aligned to 128 or 256 bytes, from their birth to their end, with the stack
//! that made them.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use diag::heap::testing::{CensusBlock, census};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[derive(Clone)]
#[repr(align(128))]
struct Line([u8; 128]);

const LINE: Line = Line([7; 128]);

/// Held by each test: the census is the process's.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(address: usize) -> Option<CensusBlock> {
    census().into_iter().find(|block| block.address == address)
}

fn address<T>(of: *const T) -> usize {
    black_box(of).addr()
}

#[test]
fn a_block_is_in_it_as_long_as_it_lives() {
    let _alone = alone();
    let boxes: Vec<Box<Line>> = (0..10_000).map(|_| Box::new(LINE)).collect();
    let addresses: Vec<usize> = boxes.iter().map(|line| address(&**line)).collect();
    let found: HashMap<usize, usize> = census().iter().map(|block| (block.address, block.size)).collect();
    assert!(addresses.iter().all(|address| found.get(address) == Some(&128)), "each is in it");
    thread::spawn(move || drop(boxes)).join().expect("no panic");
    let found: HashMap<usize, usize> = census().iter().map(|block| (block.address, block.size)).collect();
    assert!(!addresses.iter().any(|address| found.contains_key(address)), "none is left");
}

#[test]
fn only_these_alignments_are_in_it() {
    let _alone = alone();
    for (align, is_in) in [(64, false), (128, true), (256, true), (512, false), (4096, false)] {
        let layout = Layout::from_size_align(1280, align).expect("a layout");
        // SAFETY: of non-zero size, freed once with its own layout.
        unsafe {
            for block in [ALLOC.alloc(layout), ALLOC.alloc_zeroed(layout)] {
                assert_eq!(
                    at(address(block)).map(|block| block.size),
                    is_in.then_some(1280),
                    "aligned to {align}"
                );
                ALLOC.dealloc(block, layout);
                assert!(at(address(block)).is_none());
            }
        }
    }
}

/// As those of arrow, of which there may be very many. No type has such a size.
#[test]
fn bytes_that_are_no_value_are_not_in_it() {
    let _alone = alone();
    for (size, align, is_in) in [(64, 128, false), (192, 128, false), (384, 256, false), (384, 128, true)] {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        // SAFETY: of non-zero size, freed once with the layout that it has then.
        unsafe {
            let block = ALLOC.alloc(layout);
            assert_eq!(at(block.addr()).is_some(), is_in, "{size} bytes aligned to {align}");
            // One that grows was none, and one that has such a size from then on is none any more.
            let block = ALLOC.realloc(block, layout, 10 * align);
            assert_eq!(at(block.addr()).is_some(), is_in);
            let block = ALLOC.realloc(block, Layout::from_size_align_unchecked(10 * align, align), 1_000);
            assert!(at(block.addr()).is_none());
            ALLOC.dealloc(block, Layout::from_size_align_unchecked(1_000, align));
        }
    }
}

#[test]
fn a_block_that_grows_or_shrinks_stays_the_same() {
    let _alone = alone();
    let mut lines = Vec::with_capacity(1);
    lines.push(LINE);
    let birth = at(address(lines.as_ptr())).expect("it is in it").birth;
    // Above and below the size from which samples stay in the inner allocator.
    for len in [2, 100, 300, 200, 1, 1_000, 1] {
        lines.resize(len, LINE);
        lines.shrink_to_fit();
        let now = at(address(lines.as_ptr())).expect("it is in it");
        assert_eq!((now.birth, now.size), (birth, lines.capacity() * 128));
    }
    assert!(lines.iter().all(|line| line.0 == [7; 128]));
}

#[test]
fn samples_are_in_it_as_well() {
    let _alone = alone();
    diag::heap::enable(1).expect("the test machine has address space");
    let layout = Layout::from_size_align(256, 128).expect("a layout");
    // SAFETY: of non-zero size, each freed once with the layout that it has.
    unsafe {
        let blocks: Vec<*mut u8> = (0..100).map(|_| ALLOC.alloc(layout)).collect();
        let addresses: Vec<usize> = blocks.iter().map(address_of).collect();
        let found = census();
        assert!(addresses.iter().all(|address| found.iter().any(|block| block.address == *address)));
        let blocks: Vec<*mut u8> =
            blocks.into_iter().map(|block| ALLOC.realloc(block, layout, 40_064)).collect();
        let grown = Layout::from_size_align(40_064, 128).expect("a layout");
        blocks.iter().for_each(|&block| assert!(at(block.addr()).is_some_and(|block| block.size == 40_064)));
        blocks.iter().for_each(|&block| ALLOC.dealloc(block, grown));
        assert!(blocks.iter().all(|block| at(block.addr()).is_none()));
    }
    diag::heap::disable();
    let samples = diag::snapshot().into_model().heap.expect("the sampler was on").samples;
    assert!(
        !samples.iter().any(|sample| [256, 40_064].contains(&sample.size_bytes)),
        "no sample is left either"
    );
}

fn address_of(block: &*mut u8) -> usize {
    block.addr()
}

#[inline(never)]
fn made_here() -> Box<Line> {
    black_box(Box::new(LINE))
}

#[test]
fn it_has_the_stack_that_made_it() {
    let _alone = alone();
    diag::heap::enable(u64::MAX / 4).expect("the test machine has address space");
    let line = made_here();
    let stack = at(address(&*line)).expect("it is in it").functions();
    diag::heap::disable();
    assert!(stack.iter().any(|function| function.ends_with("made_here")), "{stack:#?}");
    assert!(!stack.iter().any(|function| function.contains("aligned")), "without the hook's own: {stack:#?}");
}

#[test]
fn an_allocator_that_is_not_the_process_s_is_seen_too() {
    let _alone = alone();
    static OTHER: diag::Alloc<System> = diag::Alloc::new(System);
    let layout = Layout::new::<Line>();
    // SAFETY: of non-zero size, freed once with its own layout by the one that it came from.
    unsafe {
        let block = OTHER.alloc(layout);
        assert!(at(block.addr()).is_some());
        OTHER.dealloc(block, layout);
        assert!(at(block.addr()).is_none());
    }
}

/// Threads that make, grow and free blocks of each other's beside one that looks at all of them.
#[test]
fn looks_beside_churn_find_whole_blocks_and_lose_none() {
    let _alone = alone();
    const ROUNDS: usize = 20_000;
    let before = census().len();
    let shared: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());
    let running = std::sync::atomic::AtomicUsize::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    let mut lines = vec![LINE; 1 + round % 7];
                    lines.reserve(round % 5);
                    let other = {
                        let mut shared = shared.lock().expect("no panic");
                        shared.push(lines);
                        if shared.len() > 40 { Some(shared.swap_remove(round % 40)) } else { None }
                    };
                    assert!(other.iter().flatten().all(|line| line.0 == [7; 128]), "nobody else has it");
                }
                running.fetch_sub(1, std::sync::atomic::Ordering::Release);
            });
        }
        while running.load(std::sync::atomic::Ordering::Acquire) > 0 {
            assert!(census().iter().all(|block| block.size >= 128 && block.address % 128 == 0));
        }
    });
    drop(shared);
    assert_eq!(census().len(), before, "none is left");
}
