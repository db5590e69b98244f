//! Switched off, tasks run as ever and nothing is kept.

#[test]
fn off_records_nothing() {
    // SAFETY: the only thread of this process so far.
    unsafe { std::env::set_var("DIAG", "off") };
    diag::init();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(async { diag::spawn(async { 5 }).await.unwrap() }), 5);
    let snapshot = diag::snapshot().into_model();
    assert_eq!((snapshot.tasks.len(), snapshot.ends.len()), (0, 0));
    assert!(snapshot.sites.iter().all(|site| site.spawned == 0));
}
