//! Runs the program: every exit code, and what it says then.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use diag_snapshot::{ParkedFacts, Sweep};
use diag_test_support::agent::{MockAgent, ok};
use diag_test_support::folder::Folder;
use diag_test_support::scenario::{Churn, Ghosts, Service, Steady, in_order};

/// A folder with the snapshots that the tests compare.
struct Snapshots(Folder);

impl Snapshots {
    fn new(test: &str) -> Self {
        let folder = Snapshots(Folder::new(&format!("cli-{test}")));
        let healthy = Churn { until: 60.0, ..Churn::default() }.tasks();
        let leaking = Service::new(in_order(
            [healthy.clone(), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat(),
        ));
        let quiet = Service::new(in_order(
            [healthy.clone(), Steady { line: 9, count: 400, from: 0.0, until: 40.0, pause: 1e9 }.tasks()]
                .concat(),
        ));
        let other = Service { name: "other", ..leaking.clone() };
        folder.write("leak-a", &leaking, 15.0);
        folder.write("leak-b", &leaking, 30.0);
        folder.write("leak-soon", &leaking, 16.0);
        folder.write("other", &other, 30.0);
        folder.write("quiet-a", &quiet, 10.0);
        folder.write("quiet-b", &quiet, 25.0);
        let healthy = Service::new(healthy);
        folder.write("ok-a", &healthy, 15.0);
        folder.write("ok-b", &healthy, 30.0);
        folder.damage("ok-b", "cut", |bytes| bytes.truncate(bytes.len() / 2));
        folder.damage("ok-b", "flipped", |bytes| {
            let last = bytes.len() - 3;
            bytes[last] ^= 0x10;
        });
        folder.text("not-a-snapshot", "hello\n");
        folder.text("strict.toml", "fail_on = 'possible'\n");
        folder.text("allow.toml", "[[allow]]\nsite = 'svc.rs:7'\nreason = 'known'\nuntil = '2026-01-01'\n");
        folder.text("expired.toml", "[[allow]]\nsite = 'svc.rs:7'\nreason = 'known'\nuntil = '2025-12-31'\n");
        folder.text("bound.toml", "[[bound]]\nsite = 'svc.rs:7'\nmax_tasks = 1000\n");
        folder.text("no-day.toml", "[[allow]]\nid = '12'\nreason = 'known'\nuntil = 'soon'\n");
        folder.text("wrong.toml", "[rules.task-leak]\nmin_task = 3\n");
        folder
    }

    fn write(&self, name: &str, service: &Service, at: f64) {
        let bytes = diag_snapshot::write(&service.at(at));
        diag_snapshot::file::write(&self.join(name), &bytes).expect("a snapshot file");
    }

    fn damage(&self, from: &str, to: &str, harm: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.join(from)).expect("a snapshot file");
        harm(&mut bytes);
        std::fs::write(self.join(to), bytes).expect("a damaged file");
    }

    fn text(&self, name: &str, text: &str) {
        std::fs::write(self.join(name), text).expect("a text file");
    }
}

impl Deref for Snapshots {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

fn diag(folder: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    command.current_dir(folder).args(args.split_whitespace());
    command.env_remove("DIAG_TOKEN").env_remove("TRACEPARENT");
    command
}

/// Runs `diag ARGS` and demands the exit code and a piece of its output or its errors.
fn check(folder: &Snapshots, args: &str, code: i32, says: &str) {
    let output = diag(folder, args).output().expect("the program runs");
    let all = both(&output);
    assert_eq!(output.status.code(), Some(code), "diag {args}\n{all}");
    assert!(all.contains(says), "diag {args} does not say {says:?}\n{all}");
}

fn both(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn every_exit_code() {
    let folder = Snapshots::new("codes");
    let check = |args, code, says| check(&folder, args, code, says);

    check("show ok-a", 0, "spawn site");
    check("show ok-a --tasks", 0, "svc.rs:7:9");
    check("diff ok-a ok-b", 0, "clean");
    check("check ok-a ok-b", 0, "clean");
    check("diff quiet-a quiet-b", 0, "1 possibility");
    check("diff ok-a ok-b --debug-dir . --debug-dir .", 0, "clean");

    check("diff leak-a leak-b", 1, "LEAK (likely): 400 tasks at svc.rs:7:9");
    check("check leak-a leak-soon leak-b", 1, "LEAK (likely)");
    check("check quiet-a quiet-b --fail-on possible", 1, "LEAK (possible)");
    check("check quiet-a quiet-b --policy strict.toml", 1, "LEAK (possible)");
    check("check leak-a leak-b --fail-on proven", 0, "LEAK (likely)");

    check("", 2, "Usage");
    check("frobnicate", 2, "unrecognized");
    check("diff leak-a", 2, "AFTER");
    check("check leak-a leak-b --fail-on sometimes", 2, "invalid value");
    check("check leak-a leak-b --policy wrong.toml", 2, "policy wrong.toml: line 2: unknown key");
    check("check leak-a leak-b --policy wrong.toml", 2, "did you mean `rules.task-leak.min_tasks`");
    check("check leak-a leak-b --policy missing.toml", 2, "cannot read policy missing.toml");
    check("check leak-a leak-b --policy allow.toml", 0, "allowed until 2026-01-01: known");
    check("check leak-a leak-b --policy expired.toml", 1, "svc.rs:7 was allowed until 2025-12-31");
    check("check leak-a leak-b --policy bound.toml", 0, "svc.rs:7:9 grew within its bound");
    check("check --help", 0, "diag check snapshots/ --policy diag.toml");

    check("policy check allow.toml", 0, "allow.toml: fails at likely; 1 allowance and 0 bounds");
    check("policy check wrong.toml", 2, "policy wrong.toml: line 2: unknown key");
    check("policy check no-day.toml", 2, "line 4: key `allow.until` must be a day");
    check("policy check missing.toml", 2, "cannot read policy missing.toml");
    check("policy", 2, "Usage");
    check("policy --help", 0, "diag policy check diag.toml");

    check(
        "trend leak-a leak-soon leak-b",
        0,
        "svc: 3 snapshots from 2026-01-01T00:00:15Z to 2026-01-01T00:00:30Z",
    );
    check("trend leak-a leak-b --format json", 0, "{\n  \"schema\": \"diag.trend/1\",\n");
    check("trend leak-a leak-b --format jsonl", 0, "\"level\":\"INFO\"");
    check("trend leak-a leak-b --format markdown", 0, "```text\n");
    check("trend leak-a", 3, "there is one snapshot that can be read");
    check("trend leak-a missing", 3, "missing");
    check("trend leak-a flipped", 3, "flipped: ");
    check("trend leak-a other", 4, "two services");
    check("trend", 2, "Usage");
    check("trend --help", 0, "diag trend snapshots/");

    check("snap https://127.0.0.1:1 -o x", 2, "plain http");
    check("snap 127.0.0.1:96390 -o x", 2, "there is no port 96390, ports are 1 to 65535");
    check("snap 127.0.0.1:9797/dump -o x", 2, "give the agent's address only; write it like");
    check("show ok-a --debug-dir nowhere", 2, "cannot list the debug files in nowhere");

    check("export collapsd ok-a", 2, "there is no format `collapsd`, did you mean `collapsed`? There are ");
    check("export pprof", 2, "SNAPSHOT");
    check("export --help", 0, "diag export collapsed now.diag");

    check("explain", 0, "task-leak");
    check("explain zombie", 0, "min_age_s = 60.0  # 0 or more: Each held");
    check("explain zombie --format markdown", 0, "| `min_age_s` | 60.0 | 0 or more |");
    check("explain zombie --format json", 0, "\"must_be\": \"0 or more\"");
    check("explain task-lek", 2, "there is no rule `task-lek`, did you mean `task-leak`?");
    check("explain --help", 0, "diag explain task-leak");

    check("export snapshot ok-a --anonymize -o anonymous", 0, "anonymous: a snapshot");
    check("export snapshot ok-a --key x", 2, "--anonymize");
    check("check leak-a leak-b --write markdown=report.md", 1, "LEAK (likely)");
    check("check leak-a leak-b --write pdf=report", 2, "there is no format `pdf`; there are text, json");
    check("check leak-a leak-b --write markdown=nowhere/x", 3, "nowhere");
    check("doctor ok-a", 0, "mend: link the newest diag");
    check("doctor missing", 3, "missing");
    check("doctor https://127.0.0.1:1", 2, "plain http");
    check("doctor", 2, "Usage");
    check("verify ok-a ok-b", 0, "ok-b: whole; svc, ");
    check("verify ok-a cut", 3, "cut: damaged");
    check("verify", 2, "Usage");
    check("ci", 2, "Usage");
    check("ci -- no-such-service", 2, "cannot start no-such-service");
    check("baseline", 2, "Usage");
    check("baseline check missing.json --run .", 3, "cannot read the baseline missing.json");
    check("baseline record new.json --run .", 2, "1 run make no baseline: give 3 or more");

    check("show missing", 3, "missing");
    check("export openmetrics missing", 3, "missing");
    check("export openmetrics flipped", 3, "flipped: ");
    check("export openmetrics ok-a -o nowhere/x", 3, "nowhere");
    check("show not-a-snapshot", 3, "not-a-snapshot");
    check("show flipped", 3, "flipped: ");
    check("diff ok-a missing", 3, "missing");
    check("diff ok-a cut", 3, "cut: ");
    check("diff flipped ok-b", 3, "a damaged file is not compared");
    check("check leak-a flipped leak-b", 3, "a damaged file is not compared");

    check("diff leak-a other", 4, "two services, `svc` and `other`");

    check("diff leak-a leak-soon", 5, "only 1 s apart");
    check("diff ok-b ok-a", 5, "swap them");
}

#[test]
fn the_worse_code_comes_first() {
    let folder = Snapshots::new("order");
    let check = |args, code, says| check(&folder, args, code, says);
    check("check leak-a flipped --policy wrong.toml", 2, "did you mean");
    check("check other flipped leak-b", 3, "damaged");
    check("diff other leak-soon", 4, "two services");
}

#[test]
fn formats_agree() {
    let folder = Snapshots::new("formats");
    let check = |args, says| check(&folder, args, 1, says);
    check("diff leak-a leak-b --format json", "{\n  \"schema\": \"diag.report/2\",\n");
    check("diff leak-a leak-b --format json", "\"count\": 400");
    check("diff leak-a leak-b --format jsonl", "\"message\":\"LEAK (likely): 400 tasks at svc.rs:7:9");
    check("diff leak-a leak-b --format markdown", "### LEAK (likely): 400 tasks at svc.rs:7:9");
    check("diff leak-a leak-b --color always", "\x1b[1;31m");
}

/// Lines of a log: the answer first, and every line whole.
#[test]
fn json_lines_are_a_log() {
    let folder = Snapshots::new("lines");
    let lines = |args: &str| -> Vec<serde_json::Value> {
        let output = diag(&folder, args).output().expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let found = lines("diff leak-a leak-b --format jsonl");
    let of = |key: &str| found.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("level"), ["ERROR", "ERROR"]);
    assert_eq!(of("service_name"), ["svc", "svc"]);
    assert_eq!(of("timestamp"), ["2026-01-01T00:00:30Z", "2026-01-01T00:00:30Z"]);
    assert_eq!(
        (&found[0]["outcome"], &found[1]["finding"]["rule"]),
        (&"findings".into(), &"task-leak".into())
    );
    assert!(found.iter().all(|line| line["trace_id"].is_null() && line["span_id"].is_null()));
    let allowed = lines("check leak-a leak-b --policy allow.toml --format jsonl");
    assert_eq!((&allowed[0]["level"], &allowed[1]["level"]), (&"INFO".into(), &"INFO".into()));
    assert_eq!(allowed[1]["allowed_until"], "2026-01-01");
    let clean = lines("diff ok-a ok-b --format jsonl");
    assert_eq!((clean.len(), &clean[0]["outcome"]), (1, &"clean".into()));
    let early = lines("diff leak-a leak-soon --format jsonl");
    assert_eq!((&early[0]["level"], &early[0]["outcome"]), (&"WARN".into(), &"insufficient_data".into()));
}

/// A pipeline's span is that of the report.
#[test]
fn json_lines_name_the_span_that_they_are_written_in() {
    let folder = Snapshots::new("span");
    for args in ["diff ok-a ok-b --format jsonl", "trend ok-a ok-b --format jsonl"] {
        let mut command = diag(&folder, args);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let output = command.env("TRACEPARENT", parent).output().expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let line: serde_json::Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        let ids = (&line["trace_id"], &line["span_id"]);
        assert_eq!(ids, (&"4bf92f3577b34da6a3ce929d0e0e4736".into(), &"00f067aa0ba902b7".into()), "{args}");
    }
}

/// A column for each moment, as many numbers as moments, and what grew most comes first.
#[test]
fn a_trend_is_a_table_over_the_moments() {
    let folder = Snapshots::new("trend");
    let output = diag(&folder, "trend leak-b leak-a leak-soon").output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.lines().any(|line| line.split_whitespace().take(3).eq(["+0", "ns", "+1"])), "{text}");
    assert!(text.contains("tasks, and those that ended and are held\n"), "{text}");
    let output = diag(&folder, "trend leak-a leak-soon leak-b --format json").output().expect("it runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let live = json["tasks"][0]["live"].as_array().expect("numbers");
    assert_eq!((json["moments"].as_array().map(Vec::len), live.len()), (Some(3), 3));
    assert!(live[2].as_u64() > live[0].as_u64(), "{live:?}");
}

#[test]
fn show_as_json_has_every_task_when_asked() {
    let folder = Snapshots::new("show");
    let lines = diag(&folder, "show leak-a --tasks --format jsonl").output().expect("the program runs");
    let tasks = String::from_utf8(lines.stdout).expect("text");
    let whole = diag_snapshot::file::read(&folder.join("leak-a")).expect("readable").0;
    assert_eq!(tasks.lines().count(), whole.tasks.len());
    let first: serde_json::Value = serde_json::from_str(tasks.lines().next().expect("a task")).expect("JSON");
    assert_eq!(first["site"]["location"], "svc.rs:7:9");
}

#[test]
fn every_format_is_listed_and_written() {
    let folder = Snapshots::new("export");
    let help = diag(&folder, "export --help").output().expect("the program runs");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/snapshots/v1.4.diag");
    for format in diag_analysis::export::ALL {
        let name = format.name();
        assert!(both(&help).contains(name) && both(&help).contains(format.about()), "{name}");
        check(&folder, &format!("export gif {}", golden.display()), 2, &format!("`{name}`"));
        let to_stdout = diag(&folder, &format!("export {name} {}", golden.display())).output().expect("runs");
        assert!(to_stdout.status.success() && !to_stdout.stdout.is_empty(), "{name}: {}", both(&to_stdout));
        check(&folder, &format!("export {name} {} -o {name}", golden.display()), 0, &format!("{name}: "));
        assert_eq!(std::fs::read(folder.join(name)).expect("written"), to_stdout.stdout, "{name}");
    }
}

#[test]
fn an_export_needs_what_the_format_holds() {
    let folder = Snapshots::new("export-no-heap");
    let mut snapshot = diag_snapshot::file::read(&folder.join("ok-a")).expect("readable").0;
    snapshot.heap = None;
    std::fs::write(folder.join("no-heap"), diag_snapshot::write(&snapshot)).expect("a snapshot file");
    check(&folder, "export collapsed no-heap -o new", 3, "no-heap: the heap is not recorded in it");
    assert!(!folder.join("new").exists());
    check(&folder, "export prometheus no-heap", 0, "# TYPE diag_tasks gauge");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let folder = Snapshots::new("same");
    for format in ["text", "json", "markdown"] {
        let run = || diag(&folder, &format!("diff leak-a leak-b --format {format}")).output().expect("runs");
        assert_eq!(run().stdout, run().stdout);
    }
}

#[test]
fn a_closed_pipe_is_silent() {
    let folder = Snapshots::new("pipe");
    let mut child = (diag(&folder, "show leak-a --tasks --format json").stdout(Stdio::piped()))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), both(&output).as_str()), (Some(0), ""));
}

#[test]
fn snap_writes_what_the_agent_sends() {
    let folder = Snapshots::new("snap");
    let bytes = std::fs::read(folder.join("leak-a")).expect("a snapshot file");
    let agent = MockAgent::new(vec![bytes.clone()]);
    let address = agent.address();
    check(&folder, &format!("snap {address} -o new.diag --token hush"), 0, "new.diag: ");
    let request = agent.requests().concat().to_lowercase();
    assert!(request.starts_with("get /snapshot http/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: bearer hush\r\n"), "{request}");
    assert_eq!(std::fs::read(folder.join("new.diag")).expect("written"), bytes);
}

#[test]
fn snap_says_what_came_of_asking() {
    let folder = Snapshots::new("snap-ask");
    let mut snapshot = diag_snapshot::file::read(&folder.join("leak-a")).expect("readable").0;
    for (asked, says) in [
        (0, "no task was asked: none is idle, or the service's diag is older than `--ask`"),
        (3, "2 of 3 tasks that were asked said where they are parked"),
    ] {
        let facts = ParkedFacts { asked, answered: asked.saturating_sub(1), ..ParkedFacts::default() };
        snapshot.capture.parked = Some(facts);
        let agent = MockAgent::new(vec![diag_snapshot::write(&snapshot)]);
        let address = agent.address();
        check(&folder, &format!("snap {address} -o new.diag --ask"), 0, says);
        let request = agent.requests().concat();
        assert!(request.starts_with("GET /snapshot?ask=1 HTTP/1.1\r\n"), "{request}");
    }
}

#[test]
fn snap_says_what_came_of_a_sweep() {
    let folder = Snapshots::new("snap-holders");
    let mut snapshot = diag_snapshot::file::read(&folder.join("leak-a")).expect("readable").0;
    let swept = |why: Option<&str>| Sweep { blocks: 7, why: why.map(str::to_owned), ..Sweep::default() };
    for (sweep, says) in [
        (None, "nothing was swept: the service's diag is older than `--holders`"),
        (Some(swept(None)), "swept 0 B of 7 blocks"),
        (Some(swept(Some("it took longer than it may, and was stopped"))), "; it took longer than it may"),
    ] {
        snapshot.capture.sweep = sweep;
        let agent = MockAgent::new(vec![diag_snapshot::write(&snapshot)]);
        let address = agent.address();
        check(&folder, &format!("snap {address} -o new.diag --holders"), 0, says);
        let request = agent.requests().concat();
        assert!(request.starts_with("GET /snapshot?holders=1 HTTP/1.1\r\n"), "{request}");
    }
}

#[test]
fn snap_never_replaces_a_file_with_something_unreadable() {
    let folder = Snapshots::new("snap-bad");
    let answers: [(Vec<u8>, &str); 5] = [
        (ok(b"<html>hello</html>"), "is no snapshot"),
        (ok(&std::fs::read(folder.join("flipped")).expect("a file")), "is damaged"),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(), "--token"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec(), "try again"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), "has no /snapshot"),
    ];
    let before = std::fs::read(folder.join("ok-a")).expect("a snapshot file");
    for (answer, says) in answers {
        let agent = MockAgent::raw(vec![answer]);
        let address = agent.address();
        check(&folder, &format!("snap http://{address} -o ok-a"), 3, says);
        agent.requests();
        assert_eq!(std::fs::read(folder.join("ok-a")).expect("still there"), before);
    }
}

#[test]
fn snap_writes_nothing_of_another_service() {
    let folder = Snapshots::new("snap-other");
    let [ours, other] = ["leak-a", "other"].map(|name| std::fs::read(folder.join(name)).expect("a file"));
    std::fs::write(folder.join("kept"), "as it was").expect("a text file");
    for to in ["kept", "new"] {
        let agent = MockAgent::new(vec![other.clone()]);
        let address = agent.address();
        let says = format!("at {address} answers the service `other` (pid ");
        check(&folder, &format!("snap {address} --service svc -o {to}"), 4, &says);
        agent.requests();
    }
    assert_eq!(std::fs::read_to_string(folder.join("kept")).expect("still there"), "as it was");
    assert!(!folder.join("new").exists());
    let agent = MockAgent::new(vec![ours]);
    let address = agent.address();
    check(&folder, &format!("snap {address} --service svc -o new"), 0, "new: ");
    agent.requests();
}

#[test]
fn snap_says_when_nothing_listens() {
    let folder = Snapshots::new("snap-none");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    check(&folder, &format!("snap {free} -o new.diag"), 3, "nothing listens at 127.0.0.1:");
    assert!(!folder.join("new.diag").exists());
}
