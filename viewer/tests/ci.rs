//! `diag ci` with a service that is a script, whose agent is the test's.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use diag_test_support::agent::ok;
use diag_test_support::folder::Folder;
use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};

/// So many snapshots are of five seconds each; those that come while the load notices that are hardly later.
const ENOUGH: u32 = 6;

/// Answers every question for a snapshot with a later one, for as long as the test runs.
fn agent(service: Service) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let (mut now, mut taken) = (15.0, 0);
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let answer = match request[..read].starts_with(b"GET /snapshot") {
                true => {
                    taken += 1;
                    now += if taken <= ENOUGH { 5.0 } else { 0.1 };
                    ok(&diag_snapshot::write(&service.at(now)))
                }
                false => ok(b"ok\n"),
            };
            let _ = stream.write_all(&answer);
        }
    });
    address
}

fn leaking() -> Service {
    let healthy = Churn { until: 400.0, ..Churn::default() }.tasks();
    let ghosts = Ghosts { line: 7, from: 0.0, until: 300.0, per_s: 4.0 }.tasks();
    Service::new(in_order([healthy, ghosts].concat()))
}

fn healthy() -> Service {
    Service::new(Churn { until: 400.0, ..Churn::default() }.tasks())
}

/// A service that says where its agent listens and lives until it is ended, by which it leaves a file.
const SERVICE: &str = "trap 'touch ended; exit 0' TERM; echo \"diag: the agent listens on http://$AGENT\" >&2; \
                       while :; do sleep 0.02; done";

/// A load that is over when the folder has [`ENOUGH`] snapshots.
const LOAD: &str = "until [ $(ls kept | wc -l) -ge 6 ]; do sleep 0.02; done";

fn ci(folder: &Path, agent: &str, more: &[&str], service: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    command.current_dir(folder).env("AGENT", agent).env_remove("DIAG_TOKEN");
    command.args(["ci", "--every", "0"]).args(more).args(["--", "sh", "-c", service]);
    command.output().expect("it runs")
}

#[track_caller]
fn check(output: &Output, code: i32, out: &str, err: &str) {
    let [said, noted] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert_eq!(output.status.code(), Some(code), "{said}\n{noted}");
    assert!(said.contains(out) && noted.contains(err), "no {out:?} and {err:?} in\n{said}\n{noted}");
}

#[test]
fn a_leak_fails_and_its_healthy_twin_passes_and_both_services_are_ended() {
    for (service, code, says) in [(leaking(), 1, "LEAK (likely)"), (healthy(), 0, "clean")] {
        let folder = Folder::new("ci");
        let agent = agent(service);
        let more = ["--load", LOAD, "-o", "kept", "--write", "markdown=report.md"];
        check(&ci(&folder, &agent, &more, SERVICE), code, says, "the agent listens on");
        assert!(folder.join("ended").exists(), "it was asked to end");
        assert!(std::fs::read_to_string(folder.join("report.md")).is_ok_and(|text| text.contains(says)));
    }
}

#[test]
fn an_address_that_nobody_says_is_given() {
    let folder = Folder::new("ci-url");
    let agent = agent(healthy());
    let more = ["--load", LOAD, "-o", "kept", "--url", &agent];
    check(&ci(&folder, "", &more, "exec sleep 600"), 0, "clean", "");
}

#[test]
fn what_keeps_it_from_judging_is_said() {
    let folder = Folder::new("ci-fails");
    let agent = agent(healthy());
    let check =
        |more: &[&str], service: &str, code, says| check(&ci(&folder, &agent, more, service), code, "", says);
    check(&[], "exit 7", 3, "the service ended by itself (exit status: 7)");
    check(&["--wait", "0"], "exec sleep 600", 3, "does it call `diag::init()`");
    check(&["--load", "exit 3"], SERVICE, 2, "the load failed (exit status: 3)");
    check(&["--policy", "missing.toml"], SERVICE, 2, "cannot read policy");
    check(&["--load", "true", "--for", "3"], SERVICE, 2, "cannot be used with");
}
