//! What the sampling allocator adds to the one behind it.
//!
//! All variants are called as values in this one binary, turn by turn, with a second thread alive
//! (glibc is three times faster without one). `system again` is the same code twice: a difference of
//! that size means nothing. `never on` is measured first, against `system` in rounds of its own, and
//! `off` after 70,000 blocks went by. Each figure is the best of the rounds, with its ratio to
//! `system`. Run: `cargo run --release -p diag --example heap_cost`
#![expect(clippy::print_stdout, reason = "prints a table")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::{Duration, Instant};

static DIAG: diag::Alloc = diag::Alloc::system();

const ROUNDS: usize = 60;

/// What stands behind a figure.
#[derive(Clone, Copy)]
enum Variant {
    Plain,
    NeverOn,
    Off,
    On,
}

use Variant::{NeverOn, Off, On, Plain};

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
    let never_on = CASES.each_ref().map(|case| measure(case, [Plain, NeverOn]));
    let held = live_set();
    let head = ["system", "system again", "never on", "off", "on"].map(|name| format!("{name:>14}")).concat();
    println!("{:<32}{head}", "ns per operation");
    for (case, [plain_before, never_on]) in CASES.iter().zip(never_on) {
        let [plain, again, off, on] = measure(case, [Plain, Plain, Off, On]);
        let cell = |ns: f64, plain: f64| format!("{:>14}", format!("{ns:.1} {:.2}x", ns / plain));
        let cells = [cell(again, plain), cell(never_on, plain_before), cell(off, plain), cell(on, plain)];
        println!("{:<32}{plain:>14.1}{}", case.name, cells.concat());
    }
    let heap = diag::snapshot().into_model().heap.unwrap_or_default();
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
    turn(On);
    let layout = |i: usize| {
        Layout::from_size_align(if i.is_multiple_of(50) { 100_000 } else { 1_000 }, 8).expect("a layout")
    };
    // SAFETY: layouts of non-zero size; the blocks are kept.
    (0..70_000).map(|i| unsafe { DIAG.alloc(layout(i)) }).collect()
}

/// The best of all rounds for each variant.
fn measure<const N: usize>(case: &Case, variants: [Variant; N]) -> [f64; N] {
    let mut best = [f64::INFINITY; N];
    for round in 0..ROUNDS {
        // Another one first each time, so that no variant always finds the caches warm.
        for i in (0..N).map(|i| (i + round) % N) {
            turn(variants[i]);
            let run = if let Plain = variants[i] { case.system } else { case.diag };
            best[i] = best[i].min(run());
        }
    }
    best
}

fn turn(variant: Variant) {
    match variant {
        Plain | NeverOn => {}
        Off => diag::heap::disable(),
        On => diag::heap::enable(diag::heap::DEFAULT_RATE_BYTES).expect("address space for the tables"),
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
