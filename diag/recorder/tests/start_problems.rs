//! A start with misspelt variables: all of them are told, and what can be started is.

use std::sync::Mutex;

use diag::{Problem, ProblemKind};
use diag_test_support::folder::Folder;

static TOLD: Mutex<Vec<(ProblemKind, String)>> = Mutex::new(Vec::new());

fn tell(problem: &Problem) {
    TOLD.lock().unwrap().push((problem.kind(), problem.to_string()));
}

#[test]
fn the_guard_has_the_problems_and_all_else_works() {
    // SAFETY: the one test of this file; nobody reads the environment meanwhile.
    unsafe {
        std::env::set_var("DIAG_EVRY", "5s");
        std::env::set_var("DIAG_KEEEP", "3");
        std::env::set_var("DIAG_TOKEN", "");
    }
    let folder = Folder::new("start");
    let last = folder.join("last.diag");
    let guard = diag::Builder::new()
        .addr(([127, 0, 0, 1], 0))
        .stderr(false)
        .on_problem(tell)
        .start()
        .snapshot_on_drop(&last);

    let mut problems: Vec<_> = guard.problems().iter().map(|each| (each.kind(), each.to_string())).collect();
    assert_eq!(*TOLD.lock().unwrap(), problems, "the hook is told the same");
    problems.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = [
        "DIAG_EVRY is not a setting of diag; did you mean DIAG_EVERY?",
        "DIAG_KEEEP is not a setting of diag; did you mean DIAG_KEEP?",
        "DIAG_TOKEN is empty, which counts as not set",
    ];
    assert_eq!(problems, expected.map(|text| (ProblemKind::Variable, text.to_owned())));
    assert!(guard.agent_addr().is_some(), "the agent runs");

    let second = diag::Builder::new().start();
    assert_eq!(second.problems()[0].kind(), ProblemKind::AlreadyStarted);
    assert_eq!(TOLD.lock().unwrap().len(), expected.len(), "nobody is told of a second start");

    drop(guard);
    assert!(diag_snapshot::file::read(&last).is_ok(), "the last snapshot is written");
    std::fs::remove_file(&last).unwrap();
}
