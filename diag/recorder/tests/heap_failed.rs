//! An allocation that fails is none: neither what asks for more than there can be, nor what asks for more than the
//! process may have.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const GIB: usize = 1 << 30;

/// Bytes ever allocated and freed, by all stacks.
fn turnover() -> [u64; 2] {
    let heap = diag::snapshot().into_model().heap.expect("the sampler is on");
    let rows = heap.stack_totals.iter();
    rows.fold([0; 2], |[allocated, freed], row| [allocated + row.allocated_bytes, freed + row.freed_bytes])
}

/// Asks in every way for this many bytes, which are not to be had.
fn ask(bytes: usize) {
    let mut grown = vec![1_u8; 20_000];
    assert!(Vec::<u8>::new().try_reserve_exact(bytes).is_err());
    assert!(grown.try_reserve_exact(bytes - 20_000).is_err());
    let (layout, small) = (Layout::from_size_align(bytes, 1).expect("a layout"), Layout::new::<[u8; 100]>());
    // SAFETY: non-zero sizes; the one block that is had is freed with its layout.
    unsafe {
        assert!(alloc(layout).is_null() && alloc_zeroed(layout).is_null());
        let block = alloc(small);
        assert!(realloc(block, small, bytes).is_null());
        dealloc(block, small);
    }
}

#[test]
fn failed_allocations_count_as_none() {
    let vm_size = |status: String| {
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmSize:"))?.trim_end_matches("kB").trim();
        line.parse::<u64>().ok()
    };
    for rate in [0, diag::heap::DEFAULT_RATE_BYTES] {
        diag::heap::enable(rate).expect("the test machine has address space");
        let before = turnover();
        (0..3).for_each(|_| ask(isize::MAX as usize));
        let after = turnover();
        let grown = [after[0] - before[0], after[1] - before[1]];
        assert!(grown.iter().all(|&bytes| bytes < GIB as u64), "{grown:?} at rate {rate}");
    }

    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let most = vm_size(status).expect("it has a size") * 1_024 + GIB as u64 / 2;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a valid limit to read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0, "a limit can be lowered");
    for rate in [0, diag::heap::DEFAULT_RATE_BYTES] {
        diag::heap::enable(rate).expect("the tables are there");
        let before = turnover();
        (0..3).for_each(|_| ask(GIB));
        let after = turnover();
        let grown = [after[0] - before[0], after[1] - before[1]];
        assert!(grown.iter().all(|&bytes| bytes < GIB as u64), "{grown:?} at rate {rate}, limited");
    }
}
