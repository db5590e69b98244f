//! A guard that cannot see everything says so, and fails where it was asked to. Here `diag::Alloc` is not linked.

use std::process::Command;

use diag::testing::{LeakKind, leak_guard};

/// Tells this test's own child what to do.
const PART: &str = "DIAG_TEST_PART";

/// What a child of this test says on stderr, and whether it passed.
fn child(part: &str) -> (bool, String) {
    let test = std::env::current_exe().expect("this test has a path");
    let mut child = Command::new(test);
    child.args(["--exact", "in_a_child", "--test-threads=2"]).env(PART, part);
    let output = child.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn in_a_child() {
    let Ok(part) = std::env::var(PART) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if part == "off" {
        diag::Builder::new().env(false).agent(false).enabled(false).init();
    }
    runtime.block_on(async {
        for _ in 0..2 {
            let guard = leak_guard();
            let guard = if part == "strict" || part == "off" { guard.strict() } else { guard };
            if part == "leak" {
                tokio::spawn(std::future::pending::<()>());
            }
            guard.finish().await;
        }
    });
}

#[test]
fn what_is_not_seen_is_said_once_a_process() {
    let (passes, said) = child("quiet");
    let line = "diag: leak guard: tasks and sockets of libraries are not seen, as diag::Alloc is not the allocator of \
                this test: add `#[global_allocator] static ALLOC: diag::Alloc = diag::Alloc::system();`\n";
    assert!(passes && said.matches(line).count() == 1, "{said}");
}

#[test]
fn tasks_past_diag_are_said() {
    let (passes, said) = child("leak");
    let line = " has 1 task that was spawned without diag: spawn them by diag::spawn, or link diag::Alloc";
    assert!(passes && said.contains(line), "{said}");
}

#[test]
fn a_strict_guard_fails_at_its_start() {
    let (passes, said) = child("strict");
    assert!(
        !passes && said.contains("the leak guard does not see everything:\n    tasks and sockets of"),
        "{said}"
    );
    let (passes, said) = child("off");
    assert!(!passes && said.contains("no task is seen, as nothing is recorded: DIAG=off"), "{said}");
}

#[test]
fn recorded_tasks_are_seen_all_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let leaks = runtime.block_on(async {
        let guard = leak_guard().settle(std::time::Duration::from_millis(20));
        diag::spawn(std::future::pending::<()>());
        guard.try_finish().await.expect_err("it is left")
    });
    let kinds: Vec<_> = leaks.iter().map(|leak| (leak.kind(), leak.count())).collect();
    assert_eq!(kinds, [(LeakKind::Task, 1)]);
}
