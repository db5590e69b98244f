//! A hook that panics is the service's own affair: the start goes on.

#[test]
fn the_start_goes_on() {
    // SAFETY: the one test of this file; nobody reads the environment meanwhile.
    unsafe { std::env::set_var("DIAG_NONSENSE", "1") };
    let guard = diag::Builder::new()
        .addr(([127, 0, 0, 1], 0))
        .on_problem(|problem| panic!("a test of panics, this is expected: {problem}"))
        .start();
    assert_eq!(guard.problems().len(), 1);
    assert!(guard.agent_addr().is_some());
}
