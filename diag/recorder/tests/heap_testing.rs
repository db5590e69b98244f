//! The assertions for tests: silent where nothing grew or was allocated, and telling who did otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diag::heap::testing::{HeapStats, Watch, assert_no_alloc};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[inline(never)]
fn forgets_a_session(bytes: usize) -> Vec<u8> {
    std::hint::black_box(vec![1; bytes])
}

/// What `check` says when it panics.
fn message(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("it must not be satisfied");
    panic.downcast_ref::<String>().expect("a formatted message").clone()
}

/// Without the test harness: a watch sees the whole process, and the harness has a thread that allocates.
fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let watch = Watch::start();
    let held = forgets_a_session(10_000);
    assert_eq!((watch.grown_bytes(), watch.grown_blocks()), (10_000, 1));
    watch.assert_grown_at_most(10_000);
    let said = message(|| watch.assert_grown_at_most(9_999));
    assert!(said.starts_with("the heap grew by 10000 bytes in 1 blocks; 9999 are allowed\n"), "{said}");
    assert!(said.contains("10000 bytes in 1 blocks by heap_testing::forgets_a_session ("), "{said}");
    drop((held, said));

    watch.assert_grown_at_most(0);
    assert!(watch.allocated_bytes() >= 10_000 && watch.allocated_blocks() >= 1);

    let mut numbers = forgets_a_session(1_000);
    assert_eq!(assert_no_alloc(|| numbers.iter().map(|&n| u64::from(n)).sum::<u64>()), 1_000);
    assert_no_alloc(|| numbers.shrink_to(500));
    let said = message(|| assert_no_alloc(|| drop(forgets_a_session(77))));
    assert!(
        said.starts_with("77 bytes were allocated in 1 blocks, the first by heap_testing::forgets"),
        "{said}"
    );
    let said = message(|| assert_no_alloc(|| numbers.extend([1; 2_000])));
    assert!(said.contains("were allocated in 1 blocks"), "growth is allocation: {said}");

    // Another thread's blocks are not this one's.
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let other = std::thread::spawn(move || {
        wait.recv().expect("the test goes on");
        forgets_a_session(5_000).len()
    });
    assert_no_alloc(|| go.try_send(()).expect("there is room"));
    assert_eq!(other.join().expect("it works"), 5_000);
    assert!(HeapStats::now().live_blocks >= 1);
}
