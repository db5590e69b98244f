//! The proof that the sampling allocator loses no block and gives none twice, whatever a service does to it.
//!
//! Every block is recorded. Threads come and go while others allocate, resize, hand blocks over and free them,
//! each of which carries its own address and size; a reader looks at the heap all the while, the rate changes,
//! children are forked in the middle and allocate themselves, libraries are loaded. In the end, and after each
//! round, the blocks that are still held must be the ones that the sampler knows.
//!
//! Under the address sanitizer, whose allocator is the system's then, a block that is read or freed out of turn
//! ends the program; small sampled blocks lie in diag's own range, which the sanitizer does not watch:
//! `RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo run --release --target x86_64-unknown-linux-gnu
//! -p diag-examples --bin heap_stress -- --seconds 60`
//! with `ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0`: the sanitizer's quarantine has a lock that it
//! does not release in a forked child, which then waits for ever.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use diag_examples::{args, progress};

/// Called as a value: the blocks of the program itself are none of the blocks under test.
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Stresses the sampling allocator, and says whether it kept count.
#[derive(Parser)]
#[command(after_help = "Exit code 0: no block lost or given twice. Anything else: it did not hold.")]
struct Args {
    /// How long.
    #[arg(long, default_value = "20", value_parser = args::seconds)]
    seconds: Duration,
}

/// Threads that run at once; each ends after [`STEPS`] and another takes its place.
const THREADS: u64 = 4;
const STEPS: u64 = 20_000;
/// Blocks that one thread holds at the most.
const HELD: usize = 2_000;
/// Real libraries that are on every system with a C library, and rarely loaded already.
const LIBRARIES: [&CStr; 3] = [c"libnss_files.so.2", c"libutil.so.1", c"libanl.so.1"];

static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static RESIZED: AtomicU64 = AtomicU64::new(0);
static FORKED: AtomicU64 = AtomicU64::new(0);
static LOOKS: AtomicU64 = AtomicU64::new(0);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    diag::heap::enable(0)?;
    let (started, mut rounds) = (Instant::now(), 0);
    while started.elapsed() < args.seconds {
        rounds += 1;
        round(rounds)?;
        let left = args.seconds.saturating_sub(started.elapsed()).as_secs();
        progress::show(&format!("{rounds} rounds, {left} s to go"));
    }
    progress::show("");
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    writeln!(
        io::stdout(),
        "{rounds} rounds of {} threads in {} s: {} blocks, {} resized, {} children forked, {} looks; no block lost or double",
        2 * THREADS,
        started.elapsed().as_secs(),
        count(&ALLOCATED),
        count(&RESIZED),
        count(&FORKED),
        count(&LOOKS),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A block that knows where it is and how large: written at both of its ends.
struct Block {
    start: usize,
    size: usize,
    align: usize,
}

impl Block {
    fn new(dice: &mut Dice) -> Block {
        let (size, align) = (dice.size(), 1 << dice.below(8));
        let layout = layout(size, align);
        // SAFETY: a layout of non-zero size.
        let start =
            unsafe { if dice.below(4) == 0 { ALLOC.alloc_zeroed(layout) } else { ALLOC.alloc(layout) } };
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        let block = Block { start: start.expose_provenance(), size, align };
        assert!(!start.is_null() && start.addr().is_multiple_of(align), "{size} bytes aligned to {align}");
        block.write();
        block
    }

    fn at(&self, offset: usize) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut::<u8>(self.start).wrapping_add(offset)
    }

    /// What stands at both ends: no other block has the same there.
    fn mark(&self) -> u8 {
        (self.start >> 4) as u8 ^ self.size as u8
    }

    fn write(&self) {
        // SAFETY: both bytes lie in the block.
        unsafe { [0, self.size - 1].iter().for_each(|&offset| self.at(offset).write(self.mark())) }
    }

    fn check(&self) {
        // SAFETY: both bytes lie in the block, and `write` has written them.
        let is_whole = unsafe { [0, self.size - 1].iter().all(|&at| self.at(at).read() == self.mark()) };
        assert!(
            is_whole,
            "{} bytes at {:#x} are not what was written: a block in two hands",
            self.size, self.start
        );
    }

    fn resize(&mut self, dice: &mut Dice) {
        self.check();
        let mark = self.mark();
        let size = dice.size();
        // SAFETY: our own block with its layout; the new size is not zero.
        let new = unsafe { ALLOC.realloc(self.at(0), layout(self.size, self.align), size) };
        RESIZED.fetch_add(1, Ordering::Relaxed);
        assert!(!new.is_null() && new.addr().is_multiple_of(self.align));
        // SAFETY: the first byte came along.
        assert_eq!(unsafe { new.read() }, mark, "bytes lost in a move");
        (self.start, self.size) = (new.expose_provenance(), size);
        self.write();
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.check();
        // SAFETY: our own block with its layout, once.
        unsafe { ALLOC.dealloc(self.at(0), layout(self.size, self.align)) }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap_or(Layout::new::<u8>())
}

/// Numbers that look random (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// Any magnitude up to 256 KiB is as likely.
    fn size(&mut self) -> usize {
        let bits = self.below(18);
        1 + self.below(1 << bits)
    }
}

/// What the threads of a round share.
struct Round {
    /// Where they leave blocks for each other.
    shared: Mutex<Vec<Block>>,
    over: AtomicBool,
}

impl Round {
    fn shared(&self) -> std::sync::MutexGuard<'_, Vec<Block>> {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One storm, and the count afterwards.
fn round(seed: u64) -> anyhow::Result<()> {
    let round = Round { shared: Mutex::new(Vec::new()), over: AtomicBool::new(false) };
    let held = thread::scope(|scope| {
        let reader = scope.spawn(|| look(&round));
        let held: anyhow::Result<Vec<Block>> = (0..2).try_fold(Vec::new(), |mut held, wave| {
            let storms: Vec<_> =
                (1..=THREADS).map(|thread| storm(scope, &round, seed * 64 + wave * 8 + thread)).collect();
            fork_and_allocate()?;
            load_a_library(seed as usize + wave as usize);
            for storm in storms {
                held.extend(storm.join().map_err(|_| anyhow::anyhow!("a thread found a block damaged"))?);
            }
            Ok(held)
        });
        round.over.store(true, Ordering::Relaxed);
        reader.join().map_err(|_| anyhow::anyhow!("a look found the live set damaged"))?;
        held
    })?;
    let held: Vec<Block> = held.into_iter().chain(std::mem::take(&mut *round.shared())).collect();
    expect_known(&held)?;
    drop(held);
    expect_known(&[])
}

/// The sampler knows these blocks and no others.
fn expect_known(held: &[Block]) -> anyhow::Result<()> {
    let heap = diag::snapshot().into_model().heap.context("the sampler is on")?;
    ensure!(heap.facts.refused == 0, "{} blocks found no room: the test is too large", heap.facts.refused);
    let mut truth: Vec<u64> = held.iter().map(|block| block.size as u64).collect();
    let mut known: Vec<u64> = heap.samples.iter().map(|sample| sample.size_bytes).collect();
    truth.sort_unstable();
    known.sort_unstable();
    ensure!(
        truth == known,
        "{} blocks are held, {} are known, or their sizes differ",
        truth.len(),
        known.len()
    );
    Ok(())
}

/// Allocates, resizes, hands over and frees; gives what is held in the end.
fn storm<'scope>(
    scope: &'scope Scope<'scope, '_>,
    round: &'scope Round,
    seed: u64,
) -> thread::ScopedJoinHandle<'scope, Vec<Block>> {
    scope.spawn(move || {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut held: Vec<Block> = Vec::new();
        for _ in 0..STEPS {
            let at = dice.below(held.len().max(1));
            match dice.below(8) {
                0..=2 if held.len() < HELD => held.push(Block::new(&mut dice)),
                3 | 4 if !held.is_empty() => held[at].resize(&mut dice),
                5 if !held.is_empty() => round.shared().push(held.swap_remove(at)),
                6 => held.extend(round.shared().pop()),
                _ if !held.is_empty() => drop(held.swap_remove(at)),
                _ => {}
            }
        }
        held
    })
}

/// A reader must never see a block twice, nor half a record.
fn look(round: &Round) {
    while !round.over.load(Ordering::Relaxed) {
        let heap = diag::snapshot().into_model().heap.unwrap_or_default();
        let births: Vec<u64> = heap.samples.iter().map(|sample| sample.birth).collect();
        assert!(births.is_sorted_by(|a, b| a < b), "a birth comes twice");
        assert!(
            heap.samples.iter().all(|sample| (1..=1 << 18).contains(&sample.size_bytes)),
            "half a record"
        );
        LOOKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// A child forked in the middle of the storm must be able to allocate: no lock was left held.
fn fork_and_allocate() -> anyhow::Result<()> {
    // SAFETY: the child uses nothing but the allocator under test, its own memory and `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: ends the child by a signal if it hangs.
            unsafe { libc::alarm(60) };
            let run = std::panic::catch_unwind(|| {
                let mut dice = Dice(99);
                (0..5_000).for_each(|_| Block::new(&mut dice).resize(&mut dice));
            });
            // SAFETY: leaves without the parent's destructors.
            unsafe { libc::_exit(i32::from(run.is_err())) }
        }
        child => {
            FORKED.fetch_add(1, Ordering::Relaxed);
            let mut status = 0;
            // SAFETY: waits for our own child.
            let waited = unsafe { libc::waitpid(child, &mut status, 0) };
            ensure!(waited == child && status == 0, "a forked child ended with status {status:#x}");
            Ok(())
        }
    }
}

/// New code: the next look reads all unwind tables anew while others walk by the old ones.
fn load_a_library(n: usize) {
    // SAFETY: libraries of the C library, whose initializers have no preconditions; one that is missing is null.
    unsafe { libc::dlopen(LIBRARIES[n % LIBRARIES.len()].as_ptr(), libc::RTLD_NOW) };
}
