//! Variables can be switched off in code.

#[test]
fn no_variable_is_looked_at() {
    // SAFETY: the one test of this file; nobody reads the environment meanwhile.
    unsafe {
        std::env::set_var("DIAG", "off");
        std::env::set_var("DIAG_NONSENSE", "1");
        std::env::set_var("DIAG_LABELS", "from=outside");
    }
    let guard = diag::Builder::new().env(false).agent(false).resource_attribute("from", "code").start();
    assert!(guard.problems().is_empty(), "{:?}", guard.problems());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        diag::spawn(std::future::pending::<()>());
        let snapshot = diag::snapshot();
        assert_eq!(snapshot.live_tasks(), 1, "it records");
        assert_eq!(snapshot.into_model().process.resource_attributes["from"], "code");
    });
}
