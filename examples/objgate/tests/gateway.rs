//! Some of the faults are found where they are, each while it runs; none of them is found in the healthy gateway. The id of a request
//! goes from its client through the audit log to the store.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use diag_diff::Policy;
use diag_trial::case::{Answer, Case};
use diag_trial::truth;
use objgate::case::{self, POLICY, wanted};
use objgate::{Fault, Load, Truth};

/// A fault is found after 10 to 18 s on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A gateway that runs until this is dropped.
struct Running(Child);

impl Running {
    fn start(case: &Case, dir: &Path, seconds: u64) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_objgate"));
        command.arg("run").arg(dir).args(&case.arguments);
        command.args(["--every", "3", "--seconds", &seconds.to_string()]);
        command.env("RUST_BACKTRACE", "0");
        Running(command.stdout(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if it was to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn policy() -> Policy {
    Policy::parse(POLICY).expect("it is one")
}

/// Runs the gateway until that is so of the case and its folder; false if it takes too long. Its store and clients end with it.
fn runs_until(fault: Option<Fault>, mut is_so: impl FnMut(&Case, &Path) -> bool) -> bool {
    let case = case::case(fault, Load::Mixed);
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let _running = Running::start(&case, &dir, PATIENCE.as_secs() * 2);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(500));
        if is_so(&case, &dir) {
            return true;
        }
    }
    false
}

/// Runs the gateway with a fault until it is found.
fn is_found(fault: Fault) {
    let mut last: Option<Answer> = None;
    let was_found = runs_until(Some(fault), |case, dir| {
        // Before the second snapshot there is nothing to judge.
        let Ok(answer) = case.judge(dir, &policy()) else { return false };
        last.insert(answer).is_right
    });
    let last = last.map(|answer| diag_diff::report::text::render(&answer.report));
    assert!(was_found, "{} was not found: {}", fault.name(), last.unwrap_or_default());
}

/// The same load without a fault: what is wanted of each fault is not said of it, once it has done what the load is.
fn is_silent(faults: &[Fault]) {
    let was_judged = runs_until(None, |case, dir| {
        // For as long as a fault takes to be found.
        let Ok(answer) = case.judge(dir, &policy()) else { return false };
        let truth: Truth = truth::read(dir).expect("it is there with the snapshots");
        if !dir.join("06.diag").exists() || truth.uploads.contains(&0) {
            return false;
        }
        for &fault in faults {
            let said = wanted(fault).found(&answer.report, &fault.lines());
            assert_eq!(said, None, "{}", diag_diff::report::text::render(&answer.report));
        }
        true
    });
    assert!(was_judged, "no upload was completed and none given up");
}

#[test]
fn faults_are_found_where_they_are_and_not_where_they_are_not() {
    // These three do not depend on how busy the machine is; all ten are run by `rounds`.
    let faults = [Fault::CancelNotPassed, Fault::NoDeadline, Fault::DeadEvictor];
    thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || is_found(fault));
        }
        scope.spawn(|| is_silent(&faults));
    });
}

/// The ids of requests in the audit log, and those of the parts that the store was sent.
fn ids(dir: &Path) -> Option<[BTreeSet<String>; 2]> {
    let audit = fs::read_to_string(dir.join("audit.log")).ok()?;
    let audited = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["request_id"].as_str().map(str::to_owned)
    };
    let store = fs::read_to_string(dir.join("store.log")).ok()?;
    let parts = store.lines().filter(|line| line.contains(" PUT "));
    let asked = parts.filter_map(|line| line.split(' ').next()).map(str::to_owned);
    Some([audit.lines().filter_map(audited).collect(), asked.collect()])
}

#[test]
fn the_store_is_asked_in_the_name_of_the_request() {
    let was_asked = runs_until(None, |_, dir| {
        let Some([audited, asked]) = ids(dir) else { return false };
        assert!(!asked.contains("-"), "a part was sent for nobody");
        asked.intersection(&audited).count() >= 4
    });
    assert!(was_asked, "no part that the store was sent is in the audit log");
}
