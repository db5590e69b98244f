//! The proof that the sampling allocator can be turned on by any number of threads at the same moment.
//!
//! Each case is a forked child, which has no tables yet. Its threads meet at a barrier, turn the sampler on, every
//! block to be recorded, and allocate and free at once: a block of the sampler's own range that reaches the allocator
//! behind ends the child.

use std::hint::{black_box, spin_loop};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use diag_examples::forked::{End, fork};
use diag_examples::progress;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Turns the sampler on from several threads at once, in many processes.
#[derive(Parser)]
#[command(after_help = "Exit code 0: no process died of it, and none hung. Anything else: it did not hold.")]
struct Args {
    /// How many processes.
    #[arg(long, default_value_t = 5_000)]
    cases: u64,
}

/// A case takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    // What can be had before is there, so that the threads meet where the tables are built.
    drop(diag::snapshot().into_model());
    let (mut died, mut hung) = (0, 0);
    for case in 0..args.cases {
        match fork(|| race(2 + case % 3))?.end(PATIENCE)? {
            End::Well => {}
            End::Died(_) => died += 1,
            End::Hung => hung += 1,
        }
        progress::show(&format!("{case} of {} processes, {died} died, {hung} hung", args.cases));
    }
    progress::show("");
    writeln!(
        io::stdout(),
        "{} processes, sampler turned on by 2 to 4 threads at once: {died} died, {hung} hung",
        args.cases
    )?;
    Ok(if died + hung == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn race(threads: u64) {
    let ready = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                ready.fetch_add(1, Ordering::Relaxed);
                while ready.load(Ordering::Relaxed) < threads {
                    spin_loop();
                }
                let enabled = diag::heap::enable(0);
                allocate();
                enabled.expect("address space");
            });
        }
    });
    // This thread has seen nothing of it yet.
    diag::heap::enable(0).expect("the tables are there");
    allocate();
}

/// Blocks of the sampler's range, and blocks of the allocator behind.
fn allocate() {
    let blocks: Vec<String> = (0..100).map(|i| black_box(format!("block {i}"))).collect();
    assert!(
        blocks.iter().enumerate().all(|(i, block)| *block == format!("block {i}")),
        "they hold what was written"
    );
    let mut grown = Vec::new();
    (0..40_000_u32).for_each(|i| grown.push(black_box(i as u8)));
    assert_eq!(grown.len(), 40_000, "and grow");
}
