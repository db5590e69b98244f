//! Where the resident memory of a service is: what it does by turns shows in the part that it belongs to.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use diag_analysis::Analysis;
use diag_analysis::memory_breakdown::MemoryBreakdown;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const MIB: i64 = 1 << 20;
const THREADS: usize = 20;
/// What a thread touches of its stack.
const TOUCHED_BYTES: usize = 512 << 10;

fn split() -> MemoryBreakdown {
    let snapshot = diag::snapshot().into_model();
    assert_eq!(snapshot.capture.resources.allocator.as_ref().map(|stats| stats.name.as_str()), allocator());
    Analysis::new(snapshot).memory().expect("Linux tells").clone()
}

fn allocator() -> Option<&'static str> {
    diag::glibc_stats().map(|_| "glibc malloc")
}

/// What was added to each part meanwhile: heap, held free, stacks, unaccounted.
fn added(before: &MemoryBreakdown, after: &MemoryBreakdown) -> [i64; 4] {
    let added = |part: fn(&MemoryBreakdown) -> Option<u64>| {
        part(after).unwrap_or(0) as i64 - part(before).unwrap_or(0) as i64
    };
    [
        added(|split| split.heap_bytes),
        added(|split| split.held_bytes),
        added(|split| split.stacks_bytes),
        after.unaccounted_bytes - before.unaccounted_bytes,
    ]
}

#[track_caller]
fn check(before: &MemoryBreakdown, after: &MemoryBreakdown, expected_mib: [i64; 4], tolerance_mib: i64) {
    let added = added(before, after);
    for (added, expected) in added.into_iter().zip(expected_mib) {
        assert!(
            (added - expected * MIB).abs() <= tolerance_mib * MIB,
            "{added} bytes were added where {expected} MiB were expected: {before:#?} {after:#?}"
        );
    }
}

#[inline(never)]
fn touch_stack() -> usize {
    let bytes = [1_u8; TOUCHED_BYTES];
    black_box(&bytes).iter().map(|&byte| usize::from(byte)).sum()
}

#[test]
fn each_part_grows_with_what_belongs_to_it() {
    // A sample every 4 KiB of blocks of 64 KiB: the heap is known to the byte, by a chance of e^16 to 1.
    let builder = diag::Builder::new().agent(false).heap_rate(4_096).allocator_stats(diag::glibc_stats);
    let _guard = builder.start();
    // The first capture reads symbols and leaves free memory behind; later ones find it there.
    let _ = split();

    let before = split();
    let leaked: Vec<Vec<u8>> = (0..1_600).map(|_| vec![1; 64 << 10]).collect();
    // In a debug build a capture's own working memory moves the rest by some MiB.
    check(&before, &split(), [100, 0, 0, 0], 6);
    // A record of 64 bytes for each of the blocks, and their stacks.
    let own_bytes = split().diag_bytes.expect("Linux tells");
    assert!((100 << 10..4 << 20).contains(&own_bytes), "{own_bytes}");

    let before = split();
    // SAFETY: a new anonymous mapping, which is never unmapped.
    let mapped = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        libc::mmap(std::ptr::null_mut(), 64 << 20, access, flags, -1, 0)
    };
    assert_ne!(mapped, libc::MAP_FAILED);
    check(&before, &split(), [0, 0, 0, 64], 6);

    let before = split();
    let (touched, done) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                black_box(touch_stack());
                touched.wait();
                done.wait();
            });
        }
        touched.wait();
        // Half a MiB of each, and the pages above and below.
        check(&before, &split(), [0, 0, 10, 0], 3);
        done.wait();
    });
    drop(leaked);
}
