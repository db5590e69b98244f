//! A service whose short-lived blocks come by more call paths than there is room for: what it leaks later is named all
//! the same, sums are exact, and what had to go is counted.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::Snapshot;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// More than three times as many as there is room for.
const PATHS: u64 = 60_000;
const LEAKED: usize = 200;

#[inline(never)]
fn path(bits: u64, calls: u32) -> Box<[u8]> {
    match (calls, bits & 1) {
        (0, _) => black_box(vec![1_u8; 300].into_boxed_slice()),
        (_, 0) => black_box(left(bits >> 1, calls - 1)),
        _ => black_box(right(bits >> 1, calls - 1)),
    }
}

#[inline(never)]
fn left(bits: u64, calls: u32) -> Box<[u8]> {
    black_box(path(bits, calls))
}

#[inline(never)]
fn right(bits: u64, calls: u32) -> Box<[u8]> {
    black_box(());
    black_box(path(bits, calls))
}

#[inline(never)]
fn the_leak() -> Vec<Box<[u8]>> {
    black_box((0..LEAKED).map(|_| black_box(vec![2_u8; 4_000].into_boxed_slice())).collect())
}

#[inline(never)]
fn churn(paths: std::ops::Range<u64>) {
    paths.for_each(|bits| drop(path(bits, 17)));
}

/// Live samples of this size, by whether their stack passes through this function.
fn live(snapshot: &Snapshot, size_bytes: u64, function: &str) -> [usize; 2] {
    let heap = snapshot.heap.as_ref().expect("it is sampled");
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let mut live = [0; 2];
    for sample in heap.samples.iter().filter(|sample| sample.size_bytes == size_bytes) {
        let passes = names.stack(sample.stack).any(|frame| frame.function.ends_with(function));
        live[usize::from(passes)] += 1;
    }
    live
}

#[test]
fn a_leak_is_named_after_any_number_of_other_stacks() {
    // All blocks are samples, in the tables of a service.
    diag::heap::enable(1).expect("the test machine has address space");
    let early = path(0, 17);
    churn(0..PATHS);
    let leaked = the_leak();
    churn(PATHS..PATHS + PATHS / 4);
    let snapshot = diag::snapshot().into_model();
    assert_eq!(live(&snapshot, 4_000, "the_leak"), [0, LEAKED], "{:?}", snapshot.capture.dropped);
    assert_eq!(live(&snapshot, 300, "heap_stacks_full::path"), [0, 1], "what lives is not forgotten");

    let evicted = snapshot.capture.dropped.get("heap_stacks_evicted").copied().unwrap_or(0);
    assert!(evicted > PATHS / 2, "{:?}", snapshot.capture.dropped);
    assert!(
        diag_analysis::not_recorded(&snapshot.capture)
            .any(|note| note.contains("gave its place to a new one"))
    );
    let heap = snapshot.heap.as_ref().expect("it is sampled");
    let blocks = heap.stack_totals.allocated_blocks().iter().sum::<u64>();
    let (ours, others) = (1 + PATHS + PATHS / 4 + LEAKED as u64, 20_000);
    assert!((ours..ours + others).contains(&blocks), "{blocks} blocks, {ours} of them here");
    assert!(heap.stack_totals.freed_blocks().iter().sum::<u64>() >= PATHS + PATHS / 4);
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let is_evicted = |stack| names.stack(stack).any(|frame| *frame.function == *"(evicted)");
    let evicted =
        heap.stack_totals.iter().filter(|row| is_evicted(row.stack)).map(|row| row.allocated_blocks);
    assert!(evicted.sum::<u64>() > PATHS / 2, "their totals have a row of their own");
    assert!(!heap.samples.iter().any(|sample| is_evicted(sample.stack)), "nothing that lives is evicted");
    drop((early, leaked));
}
