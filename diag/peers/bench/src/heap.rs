//! The allocator workloads, generic over the allocator, which is called as a value.
//!
//! Every process measures its subjects by turns in one binary: two binaries of the same code
//! differ by more than the nanosecond that is asked about. A second thread sleeps throughout,
//! because glibc skips its locks in a process that never had one, and no service is like that.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::process::ExitCode;

use crate::clock;
use crate::figures::{self, Figures};
use crate::request::{HeapRequest, Inner, Op};
use crate::timed::{self, Timed};

const KIB: usize = 1024;
const PAGE: usize = 4 * KIB;
const GROWN: usize = KIB * KIB;

/// An allocator under a name of the tables.
pub type Subject = (&'static str, &'static dyn Allocator);

/// What can be done with an allocator; every `GlobalAlloc` is one.
///
/// One call runs a whole batch, so that the allocator itself is called directly and inlines.
pub trait Allocator: Sync {
    /// Runs `count` operations.
    fn run(&self, op: Op, count: u64);
}

impl<A: GlobalAlloc + Sync> Allocator for A {
    fn run(&self, op: Op, count: u64) {
        match op {
            Op::Pair => (0..count).for_each(|_| pair(self)),
            Op::Realloc => grow(self, count, 64, KIB, |size| size * 2),
            Op::Block4KiB => (0..count).for_each(|_| block(self, PAGE)),
            Op::Block64KiB => (0..count).for_each(|_| block(self, 64 * KIB)),
            Op::Block1MiB => (0..count).for_each(|_| block(self, GROWN)),
            Op::Grow4KiB => grow(self, count, PAGE, GROWN, |size| size + PAGE),
        }
    }
}

/// The whole of a heap peer's `main`: does what the arguments ask for, with these subjects.
///
/// `subjects` lists what the process can measure over an inner allocator; empty if nothing.
pub fn main(subjects: impl Fn(Inner) -> Vec<Subject>) -> ExitCode {
    std::thread::spawn(|| {
        loop {
            std::thread::park();
        }
    });
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(figures) = HeapRequest::from_args(&args).and_then(|request| answer(subjects, request)) else {
        eprintln!("expected a request of the driver: time INNER, or count SUBJECT INNER OP N");
        return ExitCode::from(2);
    };
    print!("{}", figures::to_text(&figures));
    ExitCode::SUCCESS
}

fn answer(subjects: impl Fn(Inner) -> Vec<Subject>, request: HeapRequest) -> Option<Figures> {
    match request {
        HeapRequest::Time(inner) => Some(time(&subjects(inner))).filter(|figures| !figures.is_empty()),
        HeapRequest::Count(name, inner, op, count) => {
            let (_, subject) = subjects(inner).into_iter().find(|(subject, _)| *subject == name)?;
            subject.run(op, count);
            Some(Figures::new())
        }
    }
}

fn time(subjects: &[Subject]) -> Figures {
    let timed = |op: Op, &(name, subject): &Subject| {
        let run = move |count| subject.run(op, count);
        Timed::new(format!("{name}.{}", op.name()), clock::thread_cpu_ns, run)
    };
    let by_turns =
        |&op: &Op| timed::run_by_turns(subjects.iter().map(|subject| timed(op, subject)).collect());
    Op::ALL.iter().flat_map(by_turns).collect()
}

#[inline]
fn pair<A: GlobalAlloc>(allocator: &A) {
    let layout = layout(64);
    // SAFETY: the layout is not empty, and the block is freed once with the layout it was made with.
    unsafe { allocator.dealloc(black_box(allocator.alloc(layout)), layout) };
}

#[inline]
fn block<A: GlobalAlloc>(allocator: &A, size: usize) {
    let layout = layout(size);
    // SAFETY: the layout is not empty; the block is written inside its size if it is one, and freed
    // once with the layout it was made with.
    unsafe {
        let block = black_box(allocator.alloc(layout));
        assert!(!block.is_null(), "out of memory");
        touch(block, 0, size);
        allocator.dealloc(block, layout);
    }
}

/// Makes `count` steps of blocks that grow from `first` to `last` bytes.
#[inline]
fn grow<A: GlobalAlloc>(allocator: &A, count: u64, first: usize, last: usize, next: impl Fn(usize) -> usize) {
    let mut steps = 0;
    while steps < count {
        let mut size = first;
        // SAFETY: `size` is always the size that the block has: it starts as the one it is made
        // with and follows each realloc. The block is written inside it, and freed once.
        unsafe {
            let mut block = black_box(allocator.alloc(layout(size)));
            assert!(!block.is_null(), "out of memory");
            touch(block, 0, size);
            while size < last {
                let grown = next(size);
                block = black_box(allocator.realloc(block, layout(size), grown));
                assert!(!block.is_null(), "out of memory");
                touch(block, size, grown);
                size = grown;
                steps += 1;
            }
            allocator.dealloc(block, layout(size));
        }
    }
}

/// Writes one byte of each page between two offsets, as the least that a user of the block does.
///
/// # Safety
/// The block is at least `to` bytes.
#[inline]
unsafe fn touch(block: *mut u8, from: usize, to: usize) {
    for offset in (from..to).step_by(PAGE) {
        // SAFETY: the caller says that the block reaches to `to`, and `offset` is below it.
        unsafe { block.add(offset).write_volatile(1) };
    }
}

#[inline]
fn layout(size: usize) -> Layout {
    // SAFETY: 8 is a power of two, and the sizes here are far below the limit.
    unsafe { Layout::from_size_align_unchecked(size, 8) }
}
