//! Threads that allocate, resize, hand over and free at once leave the live set equal to the truth.
//!
//! Every block is recorded (rate 0). The same storm runs in a forked child, which inherits tables
//! that another thread may have been changing.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

static ALLOC: diag::Alloc = diag::Alloc::system();

const THREADS: u64 = 4;
const STEPS: u64 = 40_000;

/// A block; its first byte and its last are `mark`.
struct Block {
    start: usize,
    size: usize,
    mark: u8,
}

const ALIGN: usize = 8;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("a layout")
}

impl Block {
    fn new(size: usize, mark: u8) -> Block {
        // SAFETY: non-zero size.
        let start = unsafe { ALLOC.alloc(layout(size)) };
        assert!(!start.is_null());
        let block = Block { start: start.expose_provenance(), size, mark };
        block.write();
        block
    }

    fn start(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.start)
    }

    fn write(&self) {
        // SAFETY: both bytes lie in the block.
        unsafe {
            self.start().write(self.mark);
            self.start().add(self.size - 1).write(self.mark);
        }
    }

    fn check(&self) {
        // SAFETY: both bytes lie in the block and were written.
        let ends = unsafe { [self.start().read(), self.start().add(self.size - 1).read()] };
        assert_eq!(ends, [self.mark; 2], "two blocks share memory");
    }

    fn resize(&mut self, size: usize) {
        self.check();
        // SAFETY: our own block with its layout.
        let new = unsafe { ALLOC.realloc(self.start(), layout(self.size), size) };
        assert!(!new.is_null());
        // SAFETY: the first byte came along.
        assert_eq!(unsafe { new.read() }, self.mark);
        self.start = new.expose_provenance();
        self.size = size;
        self.write();
    }

    fn free(self) {
        self.check();
        // SAFETY: our own block with its layout, once.
        unsafe { ALLOC.dealloc(self.start(), layout(self.size)) }
    }
}

/// Small numbers that look random (xorshift64).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn size(state: &mut u64) -> usize {
    let bits = next(state) % 17;
    (next(state) % (2 << bits) + 1) as usize
}

/// Blocks that are still held at the end. `shared` is where threads leave blocks for each other.
fn storm(seed: u64, steps: u64, shared: &Mutex<Vec<Block>>) -> Vec<Block> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut held: Vec<Block> = Vec::new();
    for step in 0..steps {
        let at = (next(&mut state) % held.len().max(1) as u64) as usize;
        match next(&mut state) % 8 {
            0..=2 => held.push(Block::new(size(&mut state), step as u8)),
            3 | 4 if !held.is_empty() => held[at].resize(size(&mut state)),
            5 if !held.is_empty() => shared.lock().expect("no panic under it").push(held.swap_remove(at)),
            6 => held.extend(shared.lock().expect("no panic under it").pop()),
            _ if !held.is_empty() => held.swap_remove(at).free(),
            _ => {}
        }
    }
    held
}

#[test]
fn the_live_set_is_the_truth() {
    diag::heap::enable(0).expect("the test machine has address space");
    let shared = Mutex::new(Vec::new());
    let running = AtomicBool::new(true);
    // The snapshot has a heap once there was a sample.
    Block::new(1, 0).free();
    let held: Vec<Block> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|seed| {
                scope.spawn({
                    let shared = &shared;
                    move || storm(seed, STEPS, shared)
                })
            })
            .collect();
        // A reader beside them must never see a block twice, nor half a record.
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let heap = diag::snapshot().into_model().heap.expect("the sampler is on");
                let births: Vec<u64> = heap.samples.iter().map(|sample| sample.birth).collect();
                assert!(births.is_sorted_by(|a, b| a < b), "births ascend");
                assert!(
                    heap.samples
                        .iter()
                        .all(|sample| (1..=1 << 18).contains(&sample.size_bytes) && sample.rate_bytes == 0)
                );
            }
        });
        forked_storm();
        let held = threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>();
        running.store(false, Ordering::Relaxed);
        held.into_iter().flat_map(|blocks| blocks.expect("no storm fails")).collect()
    });
    let held: Vec<Block> = held.into_iter().chain(shared.into_inner().expect("no panic under it")).collect();

    let heap = diag::snapshot().into_model().heap.expect("on");
    let mut missing: BTreeMap<u64, i64> = BTreeMap::new();
    held.iter().for_each(|block| *missing.entry(block.size as u64).or_default() += 1);
    heap.samples.iter().for_each(|sample| *missing.entry(sample.size_bytes).or_default() -= 1);
    missing.retain(|_, blocks| *blocks != 0);
    // Of large blocks the table refuses one in some 100,000, by chance of their addresses, and counts it; it may be freed by now.
    let refused = heap.facts.refused;
    let is_told = missing.iter().all(|(&size, &blocks)| size >= 16 << 10 && blocks > 0)
        && missing.values().sum::<i64>() as u64 <= refused
        && refused <= 5;
    assert!(is_told, "sizes, and blocks that are missing: {missing:?}; {refused} were refused");
    held.into_iter().for_each(Block::free);
    assert_eq!(diag::snapshot().into_model().heap.expect("on").samples.len(), 0);
}

/// A child forked in the middle of it must be able to allocate: no lock was left held.
fn forked_storm() {
    // SAFETY: the child uses nothing but the allocator under test, its own memory and `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: ends the child by a signal if it hangs.
            unsafe { libc::alarm(20) };
            let mut state = 99;
            for step in 0..20_000_u64 {
                let mut block = Block::new(size(&mut state), step as u8);
                block.resize(size(&mut state));
                block.free();
            }
            // SAFETY: leaves without the parent's destructors.
            unsafe { libc::_exit(0) };
        }
        child => {
            assert!(child > 0, "fork");
            let mut status = 0;
            // SAFETY: waits for our own child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child ran through");
        }
    }
}
