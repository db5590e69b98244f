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

use anyhow::ensure;
use clap::Parser;
use diag_examples::progress;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Turns the sampler on from several threads at once, in many processes.
#[derive(Parser)]
#[command(after_help = "Exit code 0: no process died of it. Anything else: it did not hold.")]
struct Args {
    /// How many processes.
    #[arg(long, default_value_t = 5_000)]
    cases: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    // What can be had before is there, so that the threads meet where the tables are built.
    drop(diag::snapshot());
    let mut died = 0;
    for case in 0..args.cases {
        died += u64::from(!survives(2 + case % 3)?);
        progress::show(&format!("{case} of {} processes, {died} died", args.cases));
    }
    progress::show("");
    writeln!(
        io::stdout(),
        "{} processes, sampler turned on by 2 to 4 threads at once: {died} died",
        args.cases
    )?;
    Ok(if died == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one case in a child.
fn survives(threads: u64) -> anyhow::Result<bool> {
    // SAFETY: this process has no other thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        race(threads);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) }
    }
    let mut status = 0;
    // SAFETY: waits for our own child, and there is a place for the answer.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    ensure!(child > 0 && waited == child, "no child to be had: {}", io::Error::last_os_error());
    Ok(status == 0)
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
