//! Pitfalls 8, 9 and 11: what C libraries allocate is not seen but can be told from what is; sampled blocks cost
//! little room; and a look at the heap leaves nothing in it.

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};

use diag_snapshot::{Heap, Snapshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const MIB: u64 = 1 << 20;

/// One test at a time: the process's memory is one.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    diag::heap::enable(16 << 10).expect("the test machine has address space");
    guard
}

fn heap(snapshot: &Snapshot) -> &Heap {
    snapshot.heap.as_ref().expect("the sampler is on")
}

fn estimate(snapshot: &Snapshot) -> f64 {
    heap(snapshot).samples.iter().map(|sample| sample.weight_bytes()).sum()
}

fn rss(snapshot: &Snapshot) -> u64 {
    snapshot.capture.resources.rss_bytes.expect("Linux tells")
}

/// A snapshot when memory has come to rest: what the test before this one freed may still go back to the system.
fn settled() -> Snapshot {
    let mut before = diag::snapshot().into_model();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = diag::snapshot().into_model();
        if rss(&now).abs_diff(rss(&before)) < MIB {
            return now;
        }
        before = now;
    }
}

#[test]
fn what_c_takes_is_in_the_process_and_not_in_the_estimate() {
    let _alone = alone();
    let before = settled();
    // SAFETY: so many bytes, all of which are written, freed once.
    let block = unsafe {
        let block = libc::malloc(96 * MIB as usize);
        assert!(!block.is_null());
        block.cast::<u8>().write_bytes(1, 96 * MIB as usize);
        // Or an optimised build would see that nobody reads it.
        black_box(block)
    };
    let after = diag::snapshot().into_model();
    assert!(rss(&after) - rss(&before) > 90 * MIB);
    assert!((estimate(&after) - estimate(&before)).abs() < 8.0 * MIB as f64, "it is not Rust's");
    // SAFETY: as above.
    unsafe { libc::free(block) };
}

/// As many samples as 1 GiB has at the usual rate: 2,048 of 64 bytes.
#[test]
fn two_thousand_samples_take_a_few_mebibytes() {
    let _alone = alone();
    diag::heap::disable();
    let plain_before = rss(&diag::snapshot().into_model());
    let plain: Vec<[u8; 64]> = Vec::with_capacity(0);
    let unsampled: Vec<Box<[u8; 64]>> = (0..500_000).map(|_| black_box(Box::new([1; 64]))).collect();
    let unsampled_bytes = rss(&diag::snapshot().into_model()) - plain_before;
    diag::heap::enable(16 << 10).expect("the tables are there");
    let before = rss(&diag::snapshot().into_model());
    let sampled: Vec<Box<[u8; 64]>> = (0..500_000).map(|_| black_box(Box::new([1; 64]))).collect();
    let snapshot = diag::snapshot().into_model();
    let of_64 = heap(&snapshot).samples.iter().filter(|sample| sample.size_bytes == 64).count();
    assert!((1_700..2_300).contains(&of_64), "{of_64} samples");
    let more = (rss(&snapshot) - before).saturating_sub(unsampled_bytes);
    assert!(more < 8 * MIB, "{} KiB more than without", more >> 10);
    drop((plain, unsampled, sampled));
}

#[test]
fn a_look_leaves_nothing_in_the_heap() {
    let _alone = alone();
    diag::heap::enable(0).expect("the tables are there");
    let first = diag::snapshot().into_model();
    let looks: Vec<_> = (0..3).map(|_| heap(&diag::snapshot().into_model()).facts.next_birth).collect();
    // What the test itself kept of each look.
    let births = looks[2] - heap(&first).facts.next_birth;
    assert!(births < 10, "{births} blocks in three looks");
    let live = |snapshot: &Snapshot| heap(snapshot).samples.len();
    assert!(live(&diag::snapshot().into_model()).abs_diff(live(&first)) < 10);
}
