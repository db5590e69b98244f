//! Pitfall 6: when there is no room for a sample, it is dropped and counted, and the block is an ordinary one.

use std::alloc::{GlobalAlloc, Layout};

static ALLOC: diag::Alloc = diag::Alloc::system();

#[test]
fn a_dropped_sample_is_counted() {
    // The first call decides how much can be kept: 131,072 samples.
    diag::heap::enable(diag::heap::DEFAULT_RATE_BYTES).expect("the test machine has address space");
    diag::heap::enable(0).expect("the tables are there");
    const BLOCKS: u64 = 150_000;
    let layout = Layout::from_size_align(48, 8).expect("a layout");
    // SAFETY: non-zero size.
    let blocks: Vec<*mut u8> = (0..BLOCKS).map(|_| unsafe { ALLOC.alloc(layout) }).collect();
    for (i, block) in blocks.iter().enumerate() {
        // SAFETY: the first word of our own blocks.
        unsafe { block.cast::<usize>().write(i) };
    }
    // SAFETY: as above.
    assert!(blocks.iter().enumerate().all(|(i, block)| unsafe { block.cast::<usize>().read() } == i));
    let heap = diag::snapshot().into_model().heap.expect("the sampler is on");
    assert_eq!(heap.samples.len() as u64 + heap.facts.refused, BLOCKS);
    assert!(heap.facts.refused > 0, "more blocks than room");

    // SAFETY: each once, with its layout.
    blocks.iter().for_each(|&block| unsafe { ALLOC.dealloc(block, layout) });
    assert!(diag::snapshot().into_model().heap.is_some_and(|heap| heap.samples.is_empty()));
}
