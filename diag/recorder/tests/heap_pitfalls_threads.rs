//! Pitfalls 7 and 10: the first block of a thread, a rate that changes, blocks that outlive their thread, and
//! blocks made and freed while a thread ends.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use diag_snapshot::SampleRow;

static ALLOC: diag::Alloc = diag::Alloc::system();

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// A block that is freed when it is dropped, wherever that is.
struct Block(usize, Layout);

impl Block {
    fn new(size: usize) -> Block {
        // SAFETY: non-zero size.
        Block(unsafe { ALLOC.alloc(layout(size)) }.expose_provenance(), layout(size))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: our own block with its layout, once.
        unsafe { ALLOC.dealloc(std::ptr::with_exposed_provenance_mut(self.0), self.1) }
    }
}

fn live() -> Vec<SampleRow> {
    diag::snapshot().into_model().heap.map_or(vec![], |heap| heap.samples.iter().collect())
}

/// One test at a time: the live set is one.
fn alone(rate_bytes: u64) -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    diag::heap::enable(rate_bytes).expect("the test machine has address space");
    guard
}

/// What starts at zero would always sample the first block; what ignores it would never.
#[test]
fn the_first_block_of_a_thread_is_sampled_as_any_other() {
    const RATE_BYTES: u64 = 65_536;
    const THREADS: usize = 600;
    let _alone = alone(RATE_BYTES);
    let one = || std::thread::spawn(|| Block::new(RATE_BYTES as usize)).join().expect("it allocates");
    let held: Vec<Block> = (0..THREADS).map(|_| one()).collect();
    let share = live().len() as f64 / held.len() as f64;
    // 1 - 1/e; five standard errors of 600 throws.
    assert!((share - 0.632).abs() < 0.1, "{share} of the first blocks are samples");
}

#[test]
fn each_sample_keeps_the_rate_that_it_was_drawn_with() {
    let _alone = alone(1_000);
    let at_first: Vec<Block> = (0..100).map(|_| Block::new(50_000)).collect();
    diag::heap::enable(2_000).expect("the tables are there");
    let later: Vec<Block> = (0..100).map(|_| Block::new(60_000)).collect();
    diag::heap::disable();
    let unseen = Block::new(70_000);
    let live = live();
    let of = |size, rate| {
        live.iter().filter(|sample| (sample.size_bytes, sample.rate_bytes) == (size, rate)).count()
    };
    assert_eq!((of(50_000, 1_000), of(60_000, 2_000), live.len()), (100, 100, 200));
    drop((at_first, later, unseen));
    assert_eq!(self::live(), []);
}

/// Another thread than the one that sets the rate goes on until its next sample, and then takes it up.
#[test]
fn a_running_thread_takes_up_a_new_rate() {
    let _alone = alone(1_000);
    let (ask, asked) = std::sync::mpsc::channel::<usize>();
    let (give, given) = std::sync::mpsc::channel::<Block>();
    let other = std::thread::spawn(move || {
        asked.iter().for_each(|size| give.send(Block::new(size)).expect("somebody waits"));
    });
    let block = |size| {
        ask.send(size).expect("it runs");
        given.recv().expect("it answers")
    };
    let old = block(50_000);
    diag::heap::enable(2_000).expect("the tables are there");
    let last = block(50_000);
    let new = block(50_000);
    let rates: Vec<u64> = live().iter().map(|sample| sample.rate_bytes).collect();
    assert_eq!(rates, [1_000, 1_000, 2_000], "its countdown was drawn with the rate of then");
    diag::heap::disable();
    // It looks for having been turned on again after a mebibyte.
    let unseen = block(50_000);
    diag::heap::enable(3_000).expect("the tables are there");
    let over: Vec<Block> = (0..30).map(|_| block(50_000)).collect();
    let rates: Vec<u64> = live().iter().map(|sample| sample.rate_bytes).collect();
    assert_eq!(rates[..3], [1_000, 1_000, 2_000]);
    assert!(rates[3..].len() >= 8 && rates[3..].iter().all(|&rate| rate == 3_000), "{rates:?}");
    drop(ask);
    other.join().expect("it ends");
    drop((old, last, new, unseen, over));
}

thread_local! {
    /// Made and freed by the destructors of the thread that ends, after ours if we had any.
    static LATE: RefCell<Option<MadeLate>> = const { RefCell::new(None) };
}

static LEFT: Mutex<Option<Block>> = Mutex::new(None);

struct MadeLate(Option<Block>);

impl Drop for MadeLate {
    fn drop(&mut self) {
        drop(self.0.take());
        drop(Block::new(777));
        *LEFT.lock().expect("no panic under it") = Some(Block::new(888));
    }
}

#[test]
fn blocks_are_known_while_a_thread_ends_and_afterwards() {
    let _alone = alone(0);
    let (kept, freed_here) = std::thread::spawn(|| {
        LATE.set(Some(MadeLate(Some(Block::new(666)))));
        (Block::new(20_000), Block::new(999))
    })
    .join()
    .expect("it ends");
    drop(freed_here);
    let sizes: Vec<u64> = live().iter().map(|sample| sample.size_bytes).collect();
    assert_eq!(sizes, [20_000, 888]);
    drop((kept, LEFT.lock().expect("no panic under it").take()));
    assert_eq!(live(), []);
}
