//! Each fault is told by the leak guard, and some by `diag check` while it runs, each where it is; of the healthy runner nothing is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use diag_trial::live::Live;
use diag_trial::truth;
use plugtest::case::{self, POLICY, wanted};
use plugtest::{Fault, Load, Truth};

const PROGRAM: &str = env!("CARGO_BIN_EXE_plugtest");

fn live() -> Live {
    Live::new(PROGRAM, POLICY)
}

#[test]
fn the_guard_tells_each_fault_and_nothing_of_healthy_suites() {
    let (cases, next) = (case::all(), AtomicUsize::new(0));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let folder = tempfile::tempdir().expect("a folder");
            let guarded = case.guarded.as_ref().expect("all have one");
            let checked = guarded.check(Path::new(PROGRAM), folder.path(), &case.arguments);
            checked.unwrap_or_else(|error| panic!("{}: {error:#}", case.name));
        }
    };
    thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn faults_are_found_where_they_are_and_not_where_they_are_not() {
    // These two do not depend on how busy the machine is; all eight are run by `rounds`.
    let faults = [Fault::UnobservedPanic, Fault::Forget];
    let has_done = |dir: &Path| {
        let truth: Truth = truth::read(dir).expect("it is there with the snapshots");
        truth.refunds > 0 && truth.suites[1] > 0 && !truth.tests.contains(&0)
    };
    thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || live().is_found(&case::case(Some(fault), Load::Mixed)));
        }
        let wanted = faults.map(|fault| (wanted(fault), fault.lines()));
        scope.spawn(move || live().is_silent(&case::case(None, Load::Mixed), &wanted, has_done));
    });
}

#[test]
fn the_journal_has_each_test_of_a_suite() {
    let folder = tempfile::tempdir().expect("a folder");
    let healthy = case::case(None, Load::Mixed);
    let guarded = healthy.guarded.as_ref().expect("it has one");
    guarded.check(Path::new(PROGRAM), folder.path(), &healthy.arguments).expect("it leaves nothing");
    let journal = fs::read_to_string(folder.path().join("results.log")).expect("a journal");
    let lines: BTreeSet<&str> = journal.lines().filter_map(|line| line.strip_prefix("suite 0 ")).collect();
    let failed = lines.iter().filter(|line| line.ends_with("Failed"));
    assert_eq!(failed.collect::<Vec<_>>(), [&"Refund Failed"]);
    assert_eq!((journal.lines().count(), lines.len()), (10, 6), "{journal}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "a file is left");
}
