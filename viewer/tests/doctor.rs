//! `diag doctor` of an address: who is there instead of the agent that was meant. And of files, with `diag verify` and the
//! anonymized ones.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use diag_snapshot::Snapshot;
use diag_test_support::agent::{MockAgent, ok};
use diag_test_support::folder::Folder;
use diag_test_support::iothub;
use diag_test_support::scenario::{Churn, Service};

fn diag(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    command.current_dir(folder).args(args).env_remove("DIAG_TOKEN");
    command.output().expect("the program runs")
}

/// Demands the exit code and pieces of the output.
#[track_caller]
fn check(folder: &Path, args: &[&str], code: i32, says: &[&str]) {
    let output = diag(folder, args);
    let all = [output.stdout, output.stderr].concat();
    let all = String::from_utf8_lossy(&all);
    assert_eq!(output.status.code(), Some(code), "diag {args:?}\n{all}");
    for part in says {
        assert!(all.contains(part), "diag {args:?} does not say {part:?}\n{all}");
    }
}

/// An answer without a body.
fn answer(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

#[test]
fn a_token_that_is_missing_and_one_that_is_wrong() {
    let folder = Folder::new("doctor-token");
    let wanting = MockAgent::raw(vec![answer("401 Unauthorized"), answer("401 Unauthorized")]);
    let url = format!("http://{}", wanting.address());
    check(
        &folder,
        &["doctor", &url],
        3,
        &["wants a token, and none was given", "mend: give the service's DIAG_TOKEN"],
    );
    check(&folder, &["doctor", &url, "--token", "hush"], 3, &["wants another token"]);
}

#[test]
fn something_else_than_an_agent() {
    let folder = Folder::new("doctor-other");
    let others = MockAgent::raw(vec![answer("404 Not Found"), ok(b"hello"), b"SSH-2.0\r\n".to_vec()]);
    let url = format!("http://{}", others.address());
    check(&folder, &["doctor", &url], 3, &["is no agent: 404 Not Found to /healthz", "mend: "]);
    check(&folder, &["doctor", &url], 3, &["another text than `ok`"]);
    check(&folder, &["doctor", &url, "--format", "json"], 3, &["\"kind\": \"no_agent\"", "diag.doctor/1"]);
}

/// A port of an address that is this test's own, so that nobody else takes it once it is given up, and a listener at the next.
fn neighbours() -> (String, TcpListener) {
    let pid = std::process::id().to_le_bytes();
    let ip = format!("127.{}.{}.7", 1 + pid[1] % 200, pid[0]);
    loop {
        let low = TcpListener::bind(format!("{ip}:0")).expect("a free port");
        let low = low.local_addr().expect("an address");
        let next = low.port().checked_add(1).map(|next| TcpListener::bind((low.ip(), next)));
        if let Some(Ok(next)) = next {
            return (low.to_string(), next);
        }
    }
}

// Elsewhere this machine has one address of its own.
#[cfg(target_os = "linux")]
#[test]
fn the_wrong_port_is_told_with_the_right_one() {
    use std::io::{Read, Write};
    let folder = Folder::new("doctor-port");
    let (asked, agent) = neighbours();
    let found = agent.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in agent.incoming() {
            let mut stream = stream.expect("a client");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&ok(b"ok\n"));
        }
    });
    let says = format!("nothing listens at {asked}, but an agent answers at {found}");
    let mend = format!("mend: ask http://{found}");
    check(&folder, &["doctor", &asked], 3, &[&says, &mend]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_was_told_to_have_no_agent() {
    let folder = Folder::new("doctor-off");
    let mut service = Command::new("cat").env("DIAG", "off").stdin(Stdio::piped()).spawn().expect("cat runs");
    let says = format!("process {} (`cat`) has DIAG=off in its environment", service.id());
    // Nobody listens at port 1 of the loopback.
    check(&folder, &["doctor", "127.0.0.1:1"], 3, &[&says, "mend: start it without DIAG=off"]);
    drop(service.stdin.take());
    service.wait().expect("it ends");
}

#[test]
fn an_agent_is_asked_for_a_snapshot() {
    let folder = Folder::new("doctor-agent");
    let snapshot = diag_snapshot::write(&iothub::service(24, 24));
    let agent = MockAgent::new(vec![b"ok\n".to_vec(), snapshot]);
    let url = format!("http://{}", agent.address());
    let says = ["iothub, diag 0.1.0", "DIAG_TOKEN", "environment", "process facts: failed", "mend: "];
    check(&folder, &["doctor", &url], 0, &says);
    let requests = agent.requests();
    assert!(
        requests[0].starts_with("GET /healthz ") && requests[1].starts_with("GET /snapshot "),
        "{requests:?}"
    );
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("a file");
}

#[test]
fn files_are_verified() {
    let folder = Folder::new("verify");
    let snapshot = Service::new(Churn::default().tasks()).at(30.0);
    let bytes = diag_snapshot::write(&snapshot);
    write(&folder, "now.diag", &bytes);
    let mut flipped = bytes.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 0x10;
    write(&folder, "flipped.diag", &flipped);
    write(&folder, "cut.diag", &bytes[..bytes.len() / 2]);
    write(&folder, "text.diag", b"hello\n");
    check(&folder, &["verify", "now.diag"], 0, &["now.diag: whole; svc, 20"]);
    check(&folder, &["verify", "now.diag", "flipped.diag"], 3, &["now.diag: whole", "flipped.diag: damaged"]);
    check(&folder, &["verify", "cut.diag"], 3, &["cut.diag: damaged"]);
    check(&folder, &["verify", "text.diag"], 3, &["cannot be read"]);
    check(&folder, &["verify", "missing"], 3, &["missing"]);
    check(&folder, &["verify", "."], 3, &["now.diag: whole", "text.diag: damaged"]);
    check(&folder, &["verify", "now.diag", "--format", "json"], 0, &["diag.verify/1", "\"whole\": true"]);
    check(&folder, &["verify"], 2, &["Usage"]);
    // Rows that were lost without a trace.
    let lossy = Snapshot { tasks: snapshot.tasks.iter().skip(1).collect(), ..snapshot };
    write(&folder, "lossy.diag", &diag_snapshot::write(&lossy));
    check(&folder, &["verify", "lossy.diag"], 3, &["lossy.diag: damaged", "svc.rs", "are listed and"]);
    check(&folder, &["doctor", "now.diag"], 0, &["svc, not taken by diag"]);
    check(&folder, &["doctor", "missing"], 3, &["missing"]);
    check(&folder, &["doctor", "now.diag", "--format", "markdown"], 0, &["## diag doctor", "**Mend:**"]);
}

#[test]
fn an_anonymized_file_is_one_that_all_commands_read() {
    let folder = Folder::new("anonymous");
    write(&folder, "now.diag", &diag_snapshot::write(&iothub::service(24, 24)));
    let args = ["export", "snapshot", "now.diag", "--anonymize", "-o", "anonymous.diag"];
    check(&folder, &args, 0, &["anonymous.diag: a snapshot"]);
    for secret in ["iothub", "edge-3"] {
        let shown = |file: &str| {
            let output = diag(&folder, &["show", file, "--format", "json", "--tasks"]);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert!(shown("now.diag").contains(secret) && !shown("anonymous.diag").contains(secret), "{secret}");
    }
    // As a profile, too.
    let collapsed = diag(&folder, &["export", "collapsed", "now.diag", "--anonymize"]).stdout;
    assert!(!collapsed.is_empty() && !String::from_utf8_lossy(&collapsed).contains("iothub"));
    check(&folder, &["export", "snapshot", "now.diag", "--key", "x"], 2, &["--anonymize"]);
}
