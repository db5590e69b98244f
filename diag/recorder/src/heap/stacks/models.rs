//! `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`

use loom::sync::Arc;
use loom::thread;

use super::super::weight::Weight;
use super::*;

fn leak<T>(len: usize, new: impl Fn(usize) -> T) -> &'static [T] {
    Box::leak((0..len).map(new).collect())
}

/// Room for so many stacks of a few frames.
fn table(stacks: usize) -> Stacks {
    let chunks = stacks + RESERVED as usize;
    Stacks::of(
        leak(2, |_| AtomicU64::new(0)),
        leak(chunks, |_| std::array::from_fn(|_| AtomicU64::new(0))),
        leak(chunks, |_| AtomicU32::new(0)),
        leak(chunks, |_| HeapCounters::default()),
        leak(chunks, |_| CensusCounters::default()),
    )
}

/// Holds the stack, counts a block for it, and lets go.
fn pass(stacks: &Stacks, frame: u64, known: Option<u64>) -> u64 {
    let held = known.and_then(|word| stacks.hold(word)).unwrap_or_else(|| stacks.intern(&[frame]));
    if held != Held::OTHER {
        assert!(stacks.frames(held.number()).eq([frame]), "another stack's frames");
    }
    stacks.counters_of(held.number()).allocated(1, Weight::of(1, 0));
    stacks.release(held.number());
    held.word()
}

/// One who remembers a stack beside one who takes its place: neither sees the other's, and each is counted once.
#[test]
fn a_remembered_stack_is_itself_or_gone() {
    loom::model(|| {
        let stacks = Arc::new(table(1));
        let word = pass(&stacks, 1, None);
        let other = {
            let stacks = Arc::clone(&stacks);
            thread::spawn(move || _ = pass(&stacks, 2, None))
        };
        pass(&stacks, 1, Some(word));
        other.join().unwrap();
        let blocks: u64 = stacks.counters.iter().map(|counters| counters.totals().allocated_blocks).sum();
        assert_eq!(blocks, 3);
        let held = stacks.chunks.iter().filter(|words| words[0].load(Ordering::Relaxed) >= HOLDER);
        assert_eq!(held.count(), 0, "nobody holds anything");
    });
}
