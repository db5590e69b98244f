//! In a test: nothing that the code under test allocated is left, and no task of it lives on.
//!
//! `cargo test -p diag-examples --test usage`. Such a test has a file of its own, as it sees the whole process, and no
//! harness, whose threads allocate as well.

use diag::heap::testing::Watch;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // What is made once is made before.
    runtime.block_on(request());
    let watch = Watch::start();
    (0..100).for_each(|_| runtime.block_on(request()));
    watch.assert_grown_at_most(0);
    assert_eq!(diag::snapshot().live_tasks(), 0, "a task is left");
}

async fn request() {
    let task = diag::spawn(async { vec![1_u8; 1_000] });
    task.await.expect("it ends");
}
