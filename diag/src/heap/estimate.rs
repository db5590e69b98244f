//! A test: the estimate from samples is unbiased, and its 95 % interval holds the truth 95 times in
//! 100. `heap_truth` asks the same of many runs and sites. It lies here and not in `tests/` because the dice are fixed, which no service can ask for.

use std::alloc::{GlobalAlloc, Layout};

use diag_snapshot::SampleRow;

use super::{Alloc, enable, sampler};

static ALLOC: Alloc = Alloc::system();

const RUNS: usize = 100;
const RATE_BYTES: u64 = 4_096;

/// Blocks of one run, 1/128 of a service's heap with a rate 1/128 of the usual one: each allocated
/// at `from` bytes and grown to `to` in `steps` reallocations.
const SITES: [(usize, usize, usize, usize); 5] = [
    // blocks, from, to, steps
    (4_000, 64, 64, 0),
    (1_000, 512, 512, 0),
    (300, 4_096, 4_096, 0),
    (200, 64, 2_048, 31),
    (500, 20_000, 20_000, 0),
];

#[test]
fn the_interval_holds_the_truth() {
    enable(RATE_BYTES).expect("the test machine has address space");
    sampler::seed_thread(1);
    for (blocks, from, to, steps) in SITES {
        let truth = (blocks * to) as f64;
        let mut covered = 0;
        let mut total = 0.0;
        for _ in 0..RUNS {
            let held: Vec<*mut u8> = (0..blocks).map(|_| grown(from, to, steps)).collect();
            let heap = crate::snapshot().heap.expect("the sampler is on");
            let estimate: f64 = heap.samples.iter().map(|sample| sample.weight_bytes()).sum();
            let variance: f64 = heap.samples.iter().map(|sample| variance(&sample)).sum();
            covered += usize::from((estimate - truth).abs() <= 1.96 * variance.sqrt());
            total += estimate;
            // SAFETY: each once, with its last layout.
            held.iter().for_each(|&block| unsafe { ALLOC.dealloc(block, layout(to)) });
        }
        let mean = total / RUNS as f64;
        // Four standard errors of the mean; a biased estimator is outside within a few runs.
        let p = 1.0 - (-(to as f64) / RATE_BYTES as f64).exp();
        let allowed = 4.0 * (blocks as f64 * (to as f64).powi(2) * (1.0 - p) / p / RUNS as f64).sqrt();
        assert!((mean - truth).abs() <= allowed, "{to} bytes: mean {mean}, truth {truth}, allowed {allowed}");
        // 95 % of 100, with a standard deviation of 2.2.
        assert!((88..=99).contains(&covered), "{to} bytes: {covered} of {RUNS} intervals hold the truth");
    }
}

/// Variance that one sample contributes: `s^2 (1 - p) / p^2`.
fn variance(sample: &SampleRow) -> f64 {
    let p = sample.probability();
    (sample.size_bytes as f64 / p).powi(2) * (1.0 - p)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

fn grown(from: usize, to: usize, steps: usize) -> *mut u8 {
    // SAFETY: the layout passed is always the one of the last call.
    unsafe {
        let mut block = ALLOC.alloc(layout(from));
        for step in 0..steps {
            let size = |step: usize| from + (to - from) * step / steps;
            block = ALLOC.realloc(block, layout(size(step)), size(step + 1));
        }
        block
    }
}
