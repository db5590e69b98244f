//! Some of the faults are found where they are, each while it runs; none of them is found in the healthy prober. Exit codes say how
//! the mirrors stand, and each line of the log has its six keys.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use diag_trial::live::{Live, PATIENCE, Running};
use diag_trial::{name, truth};
use mirrorprobe::case::{self, POLICY, wanted};
use mirrorprobe::log::Line;
use mirrorprobe::{Fault, Load, Script, Truth};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorprobe"));
    command.env("RUST_BACKTRACE", "0");
    command
}

fn live() -> Live {
    Live::new(env!("CARGO_BIN_EXE_mirrorprobe"), POLICY)
}

#[test]
fn faults_are_found_where_they_are_and_not_where_they_are_not() {
    // These two do not depend on how busy the machine is; all seven are run by `rounds`.
    let faults = [Fault::FuseStuckOpen, Fault::NoTimeout];
    let has_done = |dir: &Path| {
        let truth: Truth = truth::read(dir).expect("it is there with the snapshots");
        truth.mirrors.iter().all(|mirror| mirror.attempts[0] > 0)
    };
    thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || live().is_found(&case::case(Some(fault), Load::Mixed)));
        }
        let wanted = faults.map(|fault| (wanted(fault), fault.lines()));
        scope.spawn(move || live().is_silent(&case::case(None, Load::Mixed), &wanted, has_done));
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
    let logged = live().runs_until(&case::case(None, Load::Mixed), |_, dir| {
        let log = fs::read_to_string(dir.join("probe.log")).expect("a log");
        ["answered", "timed out", "failed", "refused by the fuse", "cached"]
            .iter()
            .all(|word| log.contains(word))
    });
    assert_eq!(logged, Ok(()), "not everything was logged");
}
