//! Some of the faults are found where they are, each while it runs; none of them is found in the healthy prober. Exit codes say how
//! the mirrors stand, and each line of the log has its six keys.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use diag_diff::Policy;
use diag_trial::case::Answer;
use diag_trial::{name, truth};
use mirrorprobe::case::{self, POLICY, wanted};
use mirrorprobe::log::Line;
use mirrorprobe::{Fault, Load, Script, Truth};

/// A fault is found after 10 to 18 s on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if it was to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorprobe"));
    command.env("RUST_BACKTRACE", "0");
    command
}

fn policy() -> Policy {
    Policy::parse(POLICY).expect("it is one")
}

/// Runs the prober until that is so of what is said of it and its folder; the last answer if it takes too long.
fn runs_until(
    fault: Option<Fault>,
    mut is_so: impl FnMut(&Answer, &Path) -> bool,
) -> Result<(), Option<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let case = case::case(fault, Load::Mixed);
    let mut command = program();
    command.arg("run").arg(&dir).args(&case.arguments);
    command.args(["--every", "3", "--seconds", &(PATIENCE.as_secs() * 2).to_string()]);
    let _running = Running(command.stdout(Stdio::null()).spawn().expect("it starts"));
    let (begun, mut last) = (Instant::now(), None);
    while begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(500));
        // Before the second snapshot there is nothing to judge.
        let Ok(answer) = case.judge(&dir, &policy()) else { continue };
        if is_so(&answer, &dir) {
            return Ok(());
        }
        last = Some(diag_diff::report::text::render(&answer.report));
    }
    Err(last)
}

fn is_found(fault: Fault) {
    let found = runs_until(Some(fault), |answer, _| answer.is_right);
    assert_eq!(found, Ok(()), "{} was not found", fault.name());
}

/// The same load without a fault: what is wanted of each fault is not said of it, for as long as that takes to be found.
fn is_silent(faults: &[Fault]) {
    let was_judged = runs_until(None, |answer, dir| {
        let truth: Truth = truth::read(dir).expect("it is there with the snapshots");
        if !dir.join("06.diag").exists() || truth.mirrors.iter().any(|mirror| mirror.attempts[0] == 0) {
            return false;
        }
        for &fault in faults {
            let said = wanted(fault).found(&answer.report, &fault.lines());
            assert_eq!(said, None, "{}", diag_diff::report::text::render(&answer.report));
        }
        true
    });
    assert_eq!(was_judged, Ok(()), "it did not do its load");
}

#[test]
fn faults_are_found_where_they_are_and_not_where_they_are_not() {
    // These two do not depend on how busy the machine is; all seven are run by `rounds`.
    let faults = [Fault::FuseStuckOpen, Fault::NoTimeout];
    thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || is_found(fault));
        }
        scope.spawn(|| is_silent(&faults));
    });
}

/// Mirrors that behave so, and their addresses.
fn mirrors(scripts: &[Script]) -> (Running, Vec<String>) {
    let mut command = program();
    command.arg("mirrors").args(scripts.iter().map(name)).env("DIAG", "off");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("they start");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("their addresses");
    (Running(child), line.split_whitespace().map(str::to_owned).collect())
}

/// Checks such mirrors once, each attempt for so long: the exit code, and the lines of the log.
fn check(scripts: &[Script], timeout: Duration) -> (Option<i32>, Vec<Line>) {
    let (_mirrors, urls) = mirrors(scripts);
    let mut command = program();
    command
        .arg("check")
        .args(urls)
        .args(["--timeout-ms", &timeout.as_millis().to_string()])
        .env("DIAG", "off");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut text = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut text).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("the six keys and no other"));
    (child.wait().expect("it ends").code(), lines.collect())
}

#[test]
fn exit_codes_say_how_the_mirrors_stand() {
    use Script::{Failing, Fast, Hanging};
    assert_eq!(check(&[Fast, Fast], PATIENCE).0, Some(0));
    assert_eq!(check(&[Fast, Failing], PATIENCE).0, Some(1));
    assert_eq!(check(&[Hanging, Failing], Duration::from_millis(200)).0, Some(3));
    assert_eq!(program().arg("check").stderr(Stdio::null()).status().expect("it runs").code(), Some(2));
}

#[test]
fn lines_of_the_log_have_six_keys() {
    let (_, lines) = check(&[Script::Fast, Script::Failing], PATIENCE);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let levels: BTreeSet<_> = lines.iter().map(|line| line.level.as_str()).collect();
    assert_eq!(levels, BTreeSet::from(["info", "warn"]));
    let spans: BTreeSet<_> = lines.iter().map(|line| &line.span_id).collect();
    assert_eq!(spans.len(), 2, "a span is one line's");
    for line in &lines {
        assert_eq!(
            (line.service_name.as_str(), line.trace_id.len(), line.span_id.len()),
            ("mirrorprobe", 32, 16)
        );
    }
}

#[test]
fn a_run_logs_what_it_does() {
    let logged = runs_until(None, |_, dir| {
        let log = fs::read_to_string(dir.join("probe.log")).expect("a log");
        ["answered", "timed out", "failed", "refused by the fuse", "cached"]
            .iter()
            .all(|word| log.contains(word))
    });
    assert_eq!(logged, Ok(()), "not everything was logged");
}
