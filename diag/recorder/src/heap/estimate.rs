//! A test: the estimate from samples is unbiased whatever sizes a block has had, its 95 % interval holds the
//! truth 95 times in 100, and what is counted in and out is what lives. `heap_truth` asks the same of many runs
//! and sites. It lies here and not in `tests/` because the dice are fixed, which no service can ask for.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, MutexGuard, PoisonError};

use diag_analysis::named_stacks::NamedStacks;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{Heap, SampleRow};

use super::{Alloc, enable, sampler};

static ALLOC: Alloc = Alloc::system();
/// One test at a time: the live set is one, and so is the rate.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const RUNS: usize = 100;
const RATE_BYTES: u64 = 4_096;

/// Blocks of one run, 1/128 of a service's heap with a rate 1/128 of the usual one, and the sizes that each has in
/// turn.
const SITES: [(usize, &[usize]); 13] = [
    (4_000, &[64]),
    (1_000, &[512]),
    (300, &[4_096]),
    (500, &[20_000]),
    (200, &[64, 126, 188, 250, 400, 600, 800, 1_000, 1_300, 1_600, 1_900, 2_048]),
    // In its slot, and from the table to a slot or out of it.
    (600, &[4_096, 2_048]),
    (600, &[16_000, 1_000]),
    (600, &[20_000, 2_000]),
    (400, &[40_000, 20_000]),
    // Grown again, in its slot, from slot to slot, from slot to table and back.
    (600, &[1_024, 100, 1_024]),
    (300, &[4_096, 100, 2_048, 50, 8_000]),
    (600, &[8_000, 500, 30_000, 3_000]),
    (200, &[100, 3_000, 100, 3_000, 100, 3_000]),
];

#[test]
fn the_interval_holds_the_truth() {
    let _alone = alone();
    enable(RATE_BYTES).expect("the test machine has address space");
    sampler::seed(1);
    for (blocks, sizes) in SITES {
        let last = sizes[sizes.len() - 1];
        let truth = (blocks * last) as f64;
        let mut covered = 0;
        let mut total = 0.0;
        for _ in 0..RUNS {
            let held: Vec<*mut u8> = (0..blocks).map(|_| lived(sizes)).collect();
            let heap = crate::snapshot().into_model().heap.expect("the sampler is on");
            let estimate = heap.live_bytes();
            let variance: f64 = heap.samples.iter().map(|sample| variance(&sample)).sum();
            covered += usize::from((estimate - truth).abs() <= 1.96 * variance.sqrt());
            total += estimate;
            // What each weighs is rounded, three times at the most.
            let counted = counted(&heap);
            let rounded = 3.0 * (heap.samples.len() + 1) as f64 + estimate * 1e-6;
            assert!((counted - estimate).abs() <= rounded, "{sizes:?}: {counted} counted, {estimate} live");
            // SAFETY: each once, with its last layout.
            held.iter().for_each(|&block| unsafe { ALLOC.dealloc(block, layout(last)) });
        }
        let mean = total / RUNS as f64;
        // Four standard errors of the mean; a biased estimator is outside within a few runs.
        let p = 1.0 - (-(last as f64) / RATE_BYTES as f64).exp();
        let allowed = 4.0 * (blocks as f64 * (last as f64).powi(2) * (1.0 - p) / p / RUNS as f64).sqrt();
        assert!((mean - truth).abs() <= allowed, "{sizes:?}: mean {mean}, truth {truth}, allowed {allowed}");
        // 95 % of 100, with a standard deviation of 2.2.
        assert!((88..=100).contains(&covered), "{sizes:?}: {covered} of {RUNS} intervals hold the truth");
    }
}

/// What blocks are allocated and freed with all their growth and shrinkage, in the mean.
#[test]
fn totals_are_unbiased_through_every_change_of_size() {
    const BLOCKS: usize = 60_000;
    let _alone = alone();
    enable(RATE_BYTES).expect("the test machine has address space");
    sampler::seed(2);
    let sizes = [1_000, 9_000, 500, 2_000];
    // So large that it is sampled: a heap without any sample is not in the file, as this is no service's allocator.
    // SAFETY: once, with its last layout.
    unsafe { ALLOC.dealloc(lived(&[1 << 20]), layout(1 << 20)) };
    let before = allocated_and_freed();
    for _ in 0..BLOCKS {
        // SAFETY: once, with its last layout.
        unsafe { ALLOC.dealloc(lived(&sizes), layout(2_000)) }
    }
    let after = allocated_and_freed();
    for (what, before, after) in [("allocated", before.0, after.0), ("freed", before.1, after.1)] {
        let share = (after - before) as f64 / (BLOCKS * (1_000 + 8_000 + 1_500)) as f64;
        assert!((share - 1.0).abs() < 0.02, "{share} of the bytes {what}");
    }
}

/// By this file: other tests allocate meanwhile.
fn allocated_and_freed() -> (u64, u64) {
    let snapshot = crate::snapshot().into_model();
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let is_ours = |place: &SourceLocation| place.function.contains("heap::estimate::lived");
    let heap = snapshot.heap.as_ref().expect("the sampler is on");
    let rows = heap.stack_totals.iter().filter(|row| names.stack(row.stack).any(is_ours));
    rows.fold((0, 0), |(allocated, freed), row| (allocated + row.allocated_bytes, freed + row.freed_bytes))
}

fn counted(heap: &Heap) -> f64 {
    heap.stack_totals.iter().map(|row| row.allocated_bytes as f64 - row.freed_bytes as f64).sum()
}

/// Variance that one sample contributes: `s^2 (1 - p) / p^2`.
fn variance(sample: &SampleRow) -> f64 {
    let p = sample.probability();
    (sample.size_bytes as f64 / p).powi(2) * (1.0 - p)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// A block that has had these sizes, and has the last one.
#[inline(never)]
fn lived(sizes: &[usize]) -> *mut u8 {
    // SAFETY: the layout passed is always the one of the last call.
    unsafe {
        let mut block = ALLOC.alloc(layout(sizes[0]));
        for sizes in sizes.windows(2) {
            block = ALLOC.realloc(block, layout(sizes[0]), sizes[1]);
        }
        block
    }
}
