//! Stacks that were never seen are walked so many a second; a block beyond that is in the census without a stack, and
//! the snapshot says how many are.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;
use std::time::Instant;

use diag::heap::testing::census;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const BLOCKS: usize = 8_000;
/// Calls, each by one of two functions: that many paths have stacks of their own.
const DEPTH: u32 = 13;
/// What a thread may walk in a tenth of a second.
const WALKS: usize = 2_000;

#[repr(align(128))]
struct Line([u8; 128]);

fn descend(path: usize, depth: u32) -> Box<Line> {
    match depth {
        0 => Box::new(Line([1; 128])),
        _ if path & 1 == 0 => left(path >> 1, depth - 1),
        _ => right(path >> 1, depth - 1),
    }
}

#[inline(never)]
fn left(path: usize, depth: u32) -> Box<Line> {
    black_box(descend(path, depth))
}

#[inline(never)]
fn right(path: usize, depth: u32) -> Box<Line> {
    black_box(descend(path, depth))
}

fn not_taken() -> usize {
    let dropped = diag::snapshot().into_model().capture.dropped;
    dropped.get("census_stacks_not_taken").map_or(0, |&times| times as usize)
}

#[test]
fn beyond_the_budget_a_block_has_no_stack_and_is_counted() {
    let diag = diag::Builder::new().env(false).agent(false).stderr(false).census(true).start();
    assert!(diag.problems().is_empty(), "{:?}", diag.problems());
    assert_eq!(not_taken(), 0);
    let begun = Instant::now();
    let lines: Vec<Box<Line>> = (0..BLOCKS).map(|path| descend(path, DEPTH)).collect();
    let windows = begun.elapsed().as_millis() as usize / 100 + 1;
    let addresses: Vec<usize> = lines.iter().map(|line| black_box(line.0.as_ptr()).addr()).collect();
    let blocks: Vec<_> = census().into_iter().filter(|block| addresses.contains(&block.address)).collect();
    assert_eq!(blocks.len(), BLOCKS, "each is in it");
    let without = blocks.iter().filter(|block| !block.has_stack()).count();
    assert_eq!(without, not_taken(), "what has no stack is counted");
    // A window may have begun before. On a machine that is slow enough there is time for all.
    let most = (windows + 1) * WALKS;
    assert!(BLOCKS - without <= most, "{without} of {BLOCKS} without a stack, in {windows} windows");
    assert!(without > 0 || most >= BLOCKS, "the bound is met where it must be");
    // A place that is known costs no walk.
    let again: Vec<Box<Line>> = (0..100).map(|_| descend(0, DEPTH)).collect();
    let last = again.last().map(|line| black_box(line.0.as_ptr()).addr());
    assert!(
        census().iter().any(|block| Some(block.address) == last && block.has_stack())
            || not_taken() > without
    );
}
