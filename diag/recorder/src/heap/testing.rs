//! Assertions on the heap, for tests: nothing grew, nothing was allocated.
//!
//! ```
//! #[global_allocator]
//! static ALLOC: diag::Alloc = diag::Alloc::system();
//!
//! fn main() {
//!     let watch = diag::heap::testing::Watch::start();
//!     let mut numbers = vec![1_u64; 1_000];
//!     watch.assert_grown_at_most(8_000);
//!
//!     diag::heap::testing::assert_no_alloc(|| numbers.sort_unstable());
//!
//!     drop(numbers);
//!     watch.assert_grown_at_most(0);
//! }
//! ```
//!
//! The first use turns on the recording of every block, which makes an allocation some hundred times slower.
//! It is for tests and staging, not for production. Give such a test a file of its own under `tests/`, since
//! [`Watch`] sees the whole process, other tests too. The same mode is had with `DIAG_HEAP=full` or
//! [`HeapMode::Full`](crate::HeapMode::Full). No peak is kept.
//!
//! For tasks, sockets and what else lives on there is [`crate::testing`], which sees each test by itself.

use std::cell::Cell;
use std::collections::HashMap;

use diag_analysis::source_location::SourceLocation;

use super::tables::{self, tables};
use super::{enable, frames, hide_thread, sampler};
use crate::census::{self, Block, Found, Kind, TaskFacts};
use crate::symbols;

/// What the process has allocated and freed since every block is recorded, exact to the byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Blocks that are allocated now.
    pub live_blocks: u64,
    /// Their bytes, as they were asked for.
    pub live_bytes: u64,
    /// Blocks ever allocated.
    pub total_blocks: u64,
    /// Bytes ever allocated, growth by reallocation included.
    pub total_bytes: u64,
}

impl HeapStats {
    /// The counts as they are now. Blocks that were allocated before every block was recorded are in none
    /// of them, nor are those of diag's own threads.
    ///
    /// # Panics
    /// As [`Watch::start`].
    #[track_caller]
    pub fn now() -> Self {
        record_all_blocks();
        HeapStats::read()
    }

    fn read() -> Self {
        let Some(tables) = tables() else { return HeapStats::default() };
        let mut stats = HeapStats::default();
        let _reading = tables.stacks.reading();
        for totals in tables.stacks.counters().map(|(_, counters)| counters.totals()) {
            stats.total_blocks += totals.allocated_blocks;
            stats.total_bytes += totals.allocated_bytes;
            // Wrapping: counters of one moment are read one after the other.
            stats.live_blocks =
                stats.live_blocks.wrapping_add(totals.allocated_blocks).wrapping_sub(totals.freed_blocks);
            stats.live_bytes =
                stats.live_bytes.wrapping_add(totals.allocated_bytes).wrapping_sub(totals.freed_bytes);
        }
        stats
    }
}

/// A block of the census, for tests of the recorder.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CensusBlock {
    pub address: usize,
    pub size: usize,
    pub birth: u64,
    /// What it is: `Task`, `Channel`, `Socket`, `Unknown` or `New`.
    pub kind: &'static str,
    /// A task's: it has ended, it is a closure on a blocking thread.
    pub has_ended: Option<bool>,
    pub is_blocking: Option<bool>,
    /// The number of a task's id, as tokio prints it.
    pub id: Option<u64>,
    stack: u32,
}

impl CensusBlock {
    /// Whether its stack was taken.
    pub fn has_stack(&self) -> bool {
        self.stack >= super::stacks::RESERVED
    }

    /// The functions that it was allocated in, the innermost first; none if no stack was taken.
    pub fn functions(&self) -> Vec<String> {
        let frames = if self.stack < super::stacks::RESERVED { Vec::new() } else { frames(self.stack) };
        let mut names = vec![String::new(); frames.len()];
        symbols::at(&frames, |at, function| names[at] = function.name.to_owned());
        names
    }
}

/// The tasks that the calling thread spawns without diag are in no snapshot from now on. For programs that play the service and
/// the world outside of it as well.
#[doc(hidden)]
pub fn leave_out_thread() {
    super::aligned::leave_out_thread();
}

/// All blocks of the census, for tests of the recorder.
#[doc(hidden)]
pub fn census() -> Vec<CensusBlock> {
    let _hidden = hide_thread();
    let block = |found: Found| {
        let (Found { block, kind, .. }, task) = (found, found.task());
        let kind = match kind {
            Kind::Task => "Task",
            Kind::Channel => "Channel",
            Kind::Socket => "Socket",
            Kind::Unknown => "Unknown",
            Kind::New => "New",
        };
        let Block { address, layout, birth, stack, .. } = block;
        let (has_ended, is_blocking) = (task.map(TaskFacts::has_ended), task.map(TaskFacts::is_blocking));
        let id = task.and_then(TaskFacts::id);
        CensusBlock { address, size: layout.size(), birth, kind, has_ended, is_blocking, id, stack }
    };
    census::rules().map(|rules| rules.survey().into_iter().map(block).collect()).unwrap_or_default()
}

/// The heap as it was at one moment, to compare later ones with.
#[derive(Clone, Copy, Debug)]
#[must_use = "it only says something when it is asked"]
pub struct Watch {
    before: HeapStats,
    /// Blocks born from here on are new.
    next_birth: u64,
    dropped: u64,
}

impl Watch {
    /// Looks at the whole process's heap.
    ///
    /// # Panics
    /// If [`diag::Alloc`](crate::Alloc) is not the global allocator, or the sampler cannot be turned on.
    #[track_caller]
    pub fn start() -> Self {
        record_all_blocks();
        let next_birth = tables().map_or(1, |tables| tables.records.next_birth());
        Watch { before: HeapStats::read(), next_birth, dropped: tables::dropped() }
    }

    /// Bytes that were allocated since, less those that were freed; negative if the heap shrank.
    pub fn grown_bytes(&self) -> i64 {
        HeapStats::read().live_bytes.wrapping_sub(self.before.live_bytes) as i64
    }

    /// Blocks that were allocated since, less those that were freed.
    pub fn grown_blocks(&self) -> i64 {
        HeapStats::read().live_blocks.wrapping_sub(self.before.live_blocks) as i64
    }

    /// Bytes that were allocated since, whether freed or not.
    pub fn allocated_bytes(&self) -> u64 {
        HeapStats::read().total_bytes - self.before.total_bytes
    }

    /// Blocks that were allocated since, whether freed or not.
    pub fn allocated_blocks(&self) -> u64 {
        HeapStats::read().total_blocks - self.before.total_blocks
    }

    /// Demands that the heap holds at most so many bytes more than at the start.
    ///
    /// # Panics
    /// If it holds more, naming who allocated what is still there; or if there was no room to record all.
    #[track_caller]
    pub fn assert_grown_at_most(&self, bytes: u64) {
        let grown_bytes = self.grown_bytes();
        let missed = tables::dropped() - self.dropped;
        assert!(
            missed == 0,
            "{missed} blocks could not be recorded, so nothing can be said: watch less at once"
        );
        if grown_bytes > 0 && grown_bytes as u64 > bytes {
            let grown_blocks = self.grown_blocks();
            let holders = holders(self.next_birth);
            panic!(
                "the heap grew by {grown_bytes} bytes in {grown_blocks} blocks; {bytes} are allowed{holders}"
            );
        }
    }
}

/// Demands that `work` allocates nothing on this thread; blocks that grow count as well.
///
/// # Panics
/// If it does, naming the first who did; and as [`Watch::start`].
#[track_caller]
pub fn assert_no_alloc<T>(work: impl FnOnce() -> T) -> T {
    record_all_blocks();
    MADE.set(Made::NOTHING);
    let result = work();
    let made = MADE.get();
    if made.blocks > 0 {
        let Made { blocks, bytes, first_stack } = made;
        panic!("{bytes} bytes were allocated in {blocks} blocks, the first by {}", callers(first_stack));
    }
    result
}

/// Makes it the same in each run which blocks this thread samples from now on, and those threads that allocate for the
/// first time after this, as long as each run allocates the same in the same order.
///
/// For tests of what is made of samples. [`enable`] takes new dice from the clock, so call it before.
pub fn seed(seed: u64) {
    sampler::seed(seed);
}

/// What this thread has allocated since somebody began to look.
#[derive(Clone, Copy)]
struct Made {
    blocks: u64,
    bytes: u64,
    /// Meaningless without a block.
    first_stack: u32,
}

impl Made {
    const NOTHING: Made = Made { blocks: 0, bytes: 0, first_stack: 0 };
}

thread_local! {
    static MADE: Cell<Made> = const { Cell::new(Made::NOTHING) };
}

/// The hook's word that this thread has allocated, or grown a block by, so many bytes.
pub(super) fn note(stack: u32, bytes: usize) {
    let Made { blocks, bytes: before, first_stack } = MADE.get();
    let first_stack = if blocks == 0 { stack } else { first_stack };
    MADE.set(Made { blocks: blocks + 1, bytes: before + bytes as u64, first_stack });
}

/// Makes sure that all that this thread allocates from now on is recorded.
#[track_caller]
fn record_all_blocks() {
    if sampler::rate() == Some(0) {
        sampler::look_again();
    } else if let Err(error) = enable(0) {
        panic!("{error}");
    }
    let births = || tables().map_or(0, |tables| tables.records.next_birth());
    let before = births();
    drop(std::hint::black_box(Box::new(0_u8)));
    assert!(
        births() != before,
        "diag::Alloc is not the global allocator; add \
         `#[global_allocator] static ALLOC: diag::Alloc = diag::Alloc::system();`"
    );
}

/// The stacks that hold most of what was born since, a line each.
fn holders(next_birth: u64) -> String {
    const LINES: usize = 5;
    let _hidden = hide_thread();
    let mut by_stack: HashMap<u32, (u64, u64)> = HashMap::new();
    let _reading = tables().map(|tables| tables.stacks.reading());
    let live = tables().into_iter().flat_map(|tables| tables.records.live());
    for sample in live.filter(|sample| sample.birth >= next_birth) {
        let (bytes, blocks) = by_stack.entry(sample.stack).or_default();
        *bytes += sample.size_bytes;
        *blocks += 1;
    }
    let mut largest: Vec<_> = by_stack.into_iter().map(|(stack, held)| (held, stack)).collect();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    let line = |&((bytes, blocks), stack): &((u64, u64), u32)| {
        format!("\n  {bytes} bytes in {blocks} blocks by {}", callers(stack))
    };
    largest.iter().take(LINES).map(line).collect()
}

/// The innermost functions of a stack that are the program's own.
fn callers(stack: u32) -> String {
    const PLUMBING: &[&str] = &["alloc", "core", "std", "hashbrown", "diag", "__rustc"];
    const SHOWN: usize = 3;
    let of_library = |place: &SourceLocation| {
        let is_rusts = |file: &str| file.contains("/rustc/") || file.contains("/rustlib/");
        place.is_of_crate(PLUMBING) || place.file.as_deref().is_some_and(is_rusts)
    };
    let _hidden = hide_thread();
    let mut places = Vec::new();
    symbols::at(&frames(stack), |at, function| {
        let file = function.file.map(Into::into);
        places.push((at, SourceLocation { function: function.name.into(), file, line: function.line }));
    });
    // Stable: those of one address keep their order.
    places.sort_by_key(|(at, _)| *at);
    let own = places.iter().map(|(_, place)| place).filter(|place| !of_library(place));
    let own: Vec<String> = own.take(SHOWN).map(ToString::to_string).collect();
    if own.is_empty() { "code without names".to_owned() } else { own.join(", called by ") }
}
