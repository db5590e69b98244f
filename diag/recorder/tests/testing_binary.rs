//! What goes from test to test fails the binary, though each of its tests passes.

use std::future::pending;
use std::process::Command;
use std::sync::OnceLock;

use diag::testing::{guard_binary, leak_guard};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Tells this test's own child what to leave to the next.
const LEAVE: &str = "DIAG_TEST_LEAVES";

fn shared() -> &'static Runtime {
    static SHARED: OnceLock<Runtime> = OnceLock::new();
    SHARED.get_or_init(|| Builder::new_multi_thread().worker_threads(1).build().expect("a runtime"))
}

#[test]
fn one() {
    let Ok(what) = std::env::var(LEAVE) else { return };
    match &*what {
        "exit" => {
            let _guard = leak_guard();
            std::process::exit(0);
        }
        "forgotten guard" => return std::mem::forget(leak_guard()),
        _ => {}
    }
    guard_binary();
    if what == "task" {
        shared().block_on(async { drop(diag::spawn(pending::<()>())) });
    } else {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(leak_guard().run(async { diag::spawn(async {}).await.expect("it ends") }));
    }
}

#[test]
fn another() {
    // The process is to end while the other one runs.
    if std::env::var(LEAVE).is_ok_and(|what| what != "exit") {
        guard_binary();
    }
}

fn run(what: &str) -> (bool, String) {
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"));
    let output = child.args(["--exact", "one", "another"]).env(LEAVE, what).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_goes_from_test_to_test_fails_the_binary() {
    let (passes, said) = run("task");
    let tells = [
        "2 passed",
        "the tests of this binary leave ",
        "1 task spawned at ",
        "1 worker thread of a runtime, built at ",
    ];
    assert!(!passes && tells.iter().all(|tell| said.contains(tell)), "{said}");
    let (passes, said) = run("nothing");
    assert!(passes && !said.contains("behind"), "{said}");
}

#[test]
fn a_test_that_the_process_does_not_let_end_fails_the_binary() {
    for what in ["exit", "forgotten guard"] {
        let (passes, said) = run(what);
        let tells = "the process exits before the test with the leak guard of ";
        assert!(!passes && said.contains(tells) && said.contains("testing_binary.rs:"), "{what}: {said}");
    }
}
