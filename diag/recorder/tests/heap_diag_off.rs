//! `DIAG=off`: the allocator is linked and nothing is sampled, tasks or not.

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[test]
fn nothing_is_sampled() {
    // SAFETY: the only thread that reads or writes the environment.
    unsafe { std::env::set_var("DIAG", "off") };
    diag::init();
    let held: Vec<Vec<u8>> = (0..40).map(|_| vec![1; 4 << 20]).collect();
    assert_eq!(diag::snapshot().into_model().heap, None, "{} blocks are held", held.len());
}
