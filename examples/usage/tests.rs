//! In a test: no task or socket of the code under test lives on, and nothing that it allocated is left.
//!
//! `cargo test -p diag-examples --test usage`. This one watches the heap too, so it has a file of its own, as that is the whole
//! process's, and no harness, whose threads allocate as well. With the guard alone it would be a `#[tokio::test]` among others:
//! see diag/docs/testing.md.

use diag::heap::testing::Watch;
use diag::testing::leak_guard;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(nothing_lives_on());
    runtime.block_on(what_lives_on_is_told());
    // What is made once has been made by now.
    let watch = Watch::start();
    (0..100).for_each(|_| runtime.block_on(request()));
    watch.assert_grown_at_most(0);
}

/// As each `#[tokio::test]` would be.
async fn nothing_lives_on() {
    let guard = leak_guard().strict();
    request().await;
    guard.finish().await;
}

/// What such a test says if it leaks.
async fn what_lives_on_is_told() {
    let guard = leak_guard();
    let (orders, mut taken) = tokio::sync::mpsc::channel::<u32>(1);
    diag::spawn(async move { while taken.recv().await.is_some() {} });
    let leaks = guard.try_finish().await.expect_err("a task waits for orders");
    let text = leaks.to_string();
    assert!(text.contains("1 task spawned at examples/usage/tests.rs:"), "{text}");
    assert!(text.contains("waits for: mpsc recv at examples/usage/tests.rs:"), "{text}");
    drop(orders);
}

async fn request() {
    let task = diag::spawn(async { vec![1_u8; 1_000] });
    task.await.expect("it ends");
}
