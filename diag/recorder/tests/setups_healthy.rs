//! The doctor has nothing to say of a service that is set up well, and of two runtimes if both are named.

mod set_up;

use set_up::{SETUP, checkup, kinds, runtime, spawn_one, write_snapshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[test]
fn in_a_child() {
    let Ok(setup) = std::env::var(SETUP) else { return };
    let (runtime, other) = (runtime(), runtime());
    let builder = diag::Builder::new().runtime("main", runtime.handle().clone());
    match setup.as_str() {
        "both named" => builder.runtime("workers", other.handle().clone()).init(),
        _ => builder.init(),
    }
    // A worker that has not begun yet is a closure that nobody knows.
    for runtime in [&runtime, &other] {
        runtime.block_on(runtime.spawn(async {})).expect("it ends");
    }
    // More than can come or go while they are counted.
    let of_other = if setup == "usual" { 0 } else { 20 };
    for runtime in std::iter::once(&runtime).chain(std::iter::repeat_n(&other, of_other)) {
        spawn_one(runtime, |polled| {
            drop(diag::spawn(async move {
                let _ = polled.send(());
                std::future::pending::<()>().await;
            }));
        });
    }
    write_snapshot();
}

/// What a test may have: it is a debug build, whose agent is off, on a machine that may refuse something.
const OF_A_TEST: [&str; 3] = ["part_off", "debug_build", "not_recorded"];

#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), ignore = "there is no heap to be sampled")]
#[test]
fn nothing_is_said_of_a_good_one() {
    for setup in ["usual", "both named"] {
        let checkup = checkup(setup, &[]);
        let all = kinds(&checkup);
        assert!(all.iter().all(|kind| OF_A_TEST.contains(kind)), "{setup}: {:?}", checkup.complaints);
        assert_eq!(checkup.coverage_percent, Some(100.0));
    }
    let checkup = checkup("one named", &[]);
    assert_eq!(kinds(&checkup)[0], "second_runtime", "{:?}", checkup.complaints);
}
