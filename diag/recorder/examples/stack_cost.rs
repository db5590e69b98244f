//! What the call stack of a sampled block costs, and whether it is whole.
//!
//! Every block is recorded here, so that all of them pay. A stack that was there a moment ago is known again by the words
//! that decide its walk; any other is walked, by frame pointers if the build has them, else by the unwind
//! tables. Places in turn allocate at one stack pointer, as those where a worker's tasks spawn do.
//!
//! Run both: `cargo run --release -p diag --example stack_cost`, and once more with
//! `RUSTFLAGS="-C force-frame-pointers=yes"`. Exit code 1 if a stack does not reach `main`.
#![expect(clippy::print_stdout, reason = "prints a table")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::{SampleRow, Snapshot};

static DIAG: diag::Alloc = diag::Alloc::system();

/// Functions between `main` and the one that allocates.
const DEPTHS: [u32; 3] = [8, 32, 96];
const ROUNDS: u64 = 20;
const BLOCKS: u64 = 200;
const LAYOUT: Layout = Layout::new::<[u64; 8]>();

fn main() -> ExitCode {
    diag::heap::enable(0).expect("address space for the tables");
    let frames = DEPTHS.map(held);
    let method = diag::snapshot().into_model().heap.unwrap_or_default().facts.unwinder;
    println!("stacks by {method}; ns that a sampled block of 64 B adds, allocated and freed");
    print_row("frames", frames.each_ref().map(|frames| frames.as_ref().ok().copied()));
    let mut random = Random(0);
    print_row("seen a moment ago", DEPTHS.map(|depth| Some(added_ns(depth, || 0))));
    print_row("8 places in turn", DEPTHS.map(|depth| Some(added_ns(depth, in_turn(8, depth)))));
    print_row("9 places in turn", DEPTHS.map(|depth| Some(added_ns(depth, in_turn(9, depth)))));
    print_row("never seen", DEPTHS.map(|depth| Some(added_ns(depth, || random.next()))));
    let broken: u64 = frames.iter().filter_map(|frames| frames.as_ref().err()).sum();
    println!("{broken} of {} stacks do not reach main", BLOCKS * DEPTHS.len() as u64);
    ExitCode::from(u8::from(broken > 0))
}

fn print_row(name: &str, cells: [Option<u64>; DEPTHS.len()]) {
    let cell = |cell: Option<u64>| format!("{:>8}", cell.map_or("-".to_owned(), |cell| cell.to_string()));
    println!("{name:<20}{}", cells.map(cell).concat());
}

/// Paths that part in the last calls.
fn in_turn(places: u64, depth: u32) -> impl FnMut() -> u64 {
    let mut turn = 0;
    move || {
        turn = (turn + 1) % places;
        turn.rotate_left(depth - 4)
    }
}

/// Frames of the stacks of blocks that are held for the time of a snapshot; or how many do not reach `main`.
fn held(depth: u32) -> Result<u64, u64> {
    let mut random = Random(1);
    // SAFETY: a layout of non-zero size.
    let allocate = || unsafe { DIAG.alloc(LAYOUT) };
    let blocks: Vec<*mut u8> = (0..BLOCKS).map(|_| descend(random.next(), depth, &allocate)).collect();
    let snapshot = diag::snapshot().into_model();
    // SAFETY: each block is freed once, with its own layout.
    blocks.into_iter().for_each(|block| unsafe { DIAG.dealloc(block, LAYOUT) });
    let samples = &snapshot.heap.as_ref().expect("the sampler is on").samples;
    let whole: Vec<u64> = samples.iter().filter_map(|sample| frames_to_main(&snapshot, &sample)).collect();
    let frames = whole.first().copied().unwrap_or_default();
    if whole.len() as u64 == BLOCKS { Ok(frames) } else { Err(BLOCKS - whole.len() as u64) }
}

fn frames_to_main(snapshot: &Snapshot, sample: &SampleRow) -> Option<u64> {
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let main = names.stack(sample.stack).any(|place| *place.function == *"stack_cost::main");
    main.then(|| names.frames(sample.stack).count() as u64)
}

/// What a recorded block costs more than one of the system's, at the end of so many calls: the best of the rounds.
fn added_ns(depth: u32, mut path: impl FnMut() -> u64) -> u64 {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        let runs = [timed(depth, &mut path, &System), timed(depth, &mut path, &DIAG)];
        best = [best[0].min(runs[0]), best[1].min(runs[1])];
    }
    (best[1] - best[0]).max(0.0).round() as u64
}

fn timed(depth: u32, path: &mut impl FnMut() -> u64, allocator: &impl GlobalAlloc) -> f64 {
    let pair = || {
        // SAFETY: freed once, with the layout it was allocated with.
        unsafe {
            let block = black_box(allocator.alloc(LAYOUT));
            allocator.dealloc(block, LAYOUT);
            block
        }
    };
    let start = Instant::now();
    (0..BLOCKS).for_each(|_| _ = descend(path(), depth, &pair));
    start.elapsed().as_nanos() as f64 / BLOCKS as f64
}

/// Calls `last` at the end of `depth` calls; the bits of `path` say which function calls the next one, so that
/// each number has a stack of its own.
fn descend(path: u64, depth: u32, last: &dyn Fn() -> *mut u8) -> *mut u8 {
    match depth {
        0 => last(),
        _ if path & 1 == 0 => left(path.rotate_right(1), depth - 1, last),
        _ => right(path.rotate_right(1), depth - 1, last),
    }
}

#[inline(never)]
fn left(path: u64, depth: u32, last: &dyn Fn() -> *mut u8) -> *mut u8 {
    // Something is left to do, so that the call is not a jump.
    black_box(descend(path, depth, last))
}

#[inline(never)]
fn right(path: u64, depth: u32, last: &dyn Fn() -> *mut u8) -> *mut u8 {
    black_box(descend(path, depth, last))
}

/// Numbers without a pattern, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // The first step of SplitMix64, whose state is a counter.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }
}
