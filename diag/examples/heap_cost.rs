//! What the sampling allocator adds to the one behind it.
//!
//! All variants are called as values in this one binary, turn by turn, with a second thread alive
//! (glibc is three times faster without one). `system again` is the same code twice: a difference of
//! that size means nothing. Each figure is the best of the rounds; the last column of a case is the
//! ratio to `system`. Run: `cargo run --release -p diag --example heap_cost`
#![expect(clippy::print_stdout, reason = "prints a table")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::{Duration, Instant};

static DIAG: diag::Alloc = diag::Alloc::system();

const ROUNDS: usize = 60;
const VARIANTS: [&str; 4] = ["system", "system again", "diag off", "diag on"];

struct Case {
    name: &'static str,
    /// Runs the case so many times that clock reads do not matter; gives nanoseconds an operation.
    system: fn() -> f64,
    diag: fn() -> f64,
}

macro_rules! case {
    ($name:literal, $run:ident $(, $size:literal)?) => {
        Case { name: $name, system: || $run(&System $(, $size)?), diag: || $run(&DIAG $(, $size)?) }
    };
}

const CASES: [Case; 7] = [
    case!("pair 64 B, batch of 128", batch),
    case!("pair 64 B, hot", hot),
    case!("realloc 64 B doubled to 1 KiB", doubling),
    case!("4 KiB, touched", block, 4_096),
    case!("64 KiB, touched", block, 65_536),
    case!("1 MiB, touched", block, 1_048_576),
    case!("grown to 1.5 MiB by 4 KiB", growing),
];

fn main() {
    let second = std::thread::spawn(std::thread::park);
    let held = live_set();
    println!(
        "{:<32}{:>14}{:>14}{:>14}{:>14}",
        "ns per operation", VARIANTS[0], VARIANTS[1], VARIANTS[2], VARIANTS[3]
    );
    for case in &CASES {
        let best = measure(case);
        let cell = |ns: f64| format!("{ns:.1} {:.2}x", ns / best[0]);
        println!(
            "{:<32}{:>14.1}{:>14}{:>14}{:>14}",
            case.name,
            best[0],
            cell(best[1]),
            cell(best[2]),
            cell(best[3])
        );
    }
    let heap = diag::snapshot().heap.unwrap_or_default();
    println!(
        "{} live samples of {} blocks, stacks by {}, refused {}",
        heap.samples.len(),
        held.len(),
        heap.facts.unwinder,
        heap.facts.refused
    );
    second.thread().unpark();
}

/// 200 MiB in blocks of 100 KB and 1 KB, so that the tables are not empty.
fn live_set() -> Vec<*mut u8> {
    turn(true);
    let layout = |i: usize| {
        Layout::from_size_align(if i.is_multiple_of(50) { 100_000 } else { 1_000 }, 8).expect("a layout")
    };
    // SAFETY: layouts of non-zero size; the blocks are kept.
    (0..70_000).map(|i| unsafe { DIAG.alloc(layout(i)) }).collect()
}

fn measure(case: &Case) -> [f64; 4] {
    let mut best = [f64::INFINITY; 4];
    for round in 0..ROUNDS {
        // Another one first each time, so that no variant always finds the caches warm.
        for i in (0..4).map(|i| (i + round) % 4) {
            turn(i == 3);
            let run = if i < 2 { case.system } else { case.diag };
            best[i] = best[i].min(run());
        }
    }
    best
}

fn turn(on: bool) {
    if on {
        diag::heap::enable(diag::heap::DEFAULT_RATE_BYTES).expect("address space for the tables");
    } else {
        diag::heap::disable();
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a small layout")
}

fn per_operation(operations: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    let taken: Duration = start.elapsed();
    taken.as_nanos() as f64 / operations as f64
}

#[inline(never)]
fn batch(allocator: &impl GlobalAlloc) -> f64 {
    const BATCHES: usize = 200;
    let mut blocks = [std::ptr::null_mut(); 128];
    per_operation(BATCHES * blocks.len(), || {
        for _ in 0..BATCHES {
            // SAFETY: each block is freed once, with the layout it was allocated with.
            unsafe {
                blocks
                    .iter_mut()
                    .for_each(|block| *block = black_box(allocator.alloc(black_box(layout(64)))));
                blocks.iter().for_each(|&block| allocator.dealloc(block, black_box(layout(64))));
            }
        }
    })
}

#[inline(never)]
fn hot(allocator: &impl GlobalAlloc) -> f64 {
    const PAIRS: usize = 30_000;
    per_operation(PAIRS, || {
        for _ in 0..PAIRS {
            // SAFETY: freed once, with the layout it was allocated with.
            unsafe {
                allocator.dealloc(black_box(allocator.alloc(black_box(layout(64)))), black_box(layout(64)))
            };
        }
    })
}

#[inline(never)]
fn doubling(allocator: &impl GlobalAlloc) -> f64 {
    const BLOCKS: usize = 3_000;
    per_operation(BLOCKS * 4, || {
        for _ in 0..BLOCKS {
            // SAFETY: the layout passed is always the one of the last call.
            unsafe {
                let mut block = allocator.alloc(layout(64));
                for size in [64, 128, 256, 512] {
                    block = black_box(allocator.realloc(block, black_box(layout(size)), size * 2));
                }
                allocator.dealloc(block, layout(1_024));
            }
        }
    })
}

#[inline(never)]
fn block(allocator: &impl GlobalAlloc, size: usize) -> f64 {
    let blocks = (40 << 20) / size / 8;
    per_operation(blocks, || {
        for _ in 0..blocks {
            // SAFETY: every write lies in the block; it is freed once with its own layout.
            unsafe {
                let block = black_box(allocator.alloc(black_box(layout(size))));
                (0..size).step_by(4_096).for_each(|at| block.add(at).write_volatile(1));
                allocator.dealloc(block, black_box(layout(size)));
            }
        }
    })
}

#[inline(never)]
fn growing(allocator: &impl GlobalAlloc) -> f64 {
    const STEP: usize = 4_096;
    const STEPS: usize = 384;
    per_operation(10, || {
        for _ in 0..10 {
            // SAFETY: the layout passed is always the one of the last call, every write in the block.
            unsafe {
                let mut block = allocator.alloc(layout(STEP));
                for step in 1..STEPS {
                    block = black_box(allocator.realloc(
                        block,
                        black_box(layout(step * STEP)),
                        (step + 1) * STEP,
                    ));
                    block.add(step * STEP).write_volatile(1);
                }
                allocator.dealloc(block, layout(STEPS * STEP));
            }
        }
    })
}
