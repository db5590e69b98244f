//! Without the allocator an assertion would be satisfied by anything, so it says what is missing.

#[test]
#[should_panic(expected = "diag::Alloc is not the global allocator")]
fn a_watch_without_the_allocator_says_so() {
    let _ = diag::heap::testing::Watch::start();
}
