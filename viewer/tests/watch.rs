//! Runs `diag watch` against an agent that answers with snapshots of a script.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use diag_test_support::agent::MockAgent;
use diag_test_support::folder::Folder;
use diag_test_support::scenario::{Churn, Ghosts, Service, Steady, in_order};

/// The names of the snapshots in `kept`, ascending.
fn kept(folder: &Folder) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join("kept")) else { return Vec::new() };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("listed").file_name();
    let mut names: Vec<String> = entries.map(|entry| name(entry).into_string().expect("text")).collect();
    names.sort();
    names
}

fn healthy() -> Service {
    Service::new(Churn { until: 60.0, ..Churn::default() }.tasks())
}

fn leaking() -> Service {
    Service::new(in_order(
        [healthy().tasks, Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat(),
    ))
}

/// What is only possible.
fn quiet() -> Service {
    Service::new(in_order(
        [healthy().tasks, Steady { line: 9, count: 400, from: 0.0, until: 40.0, pause: 1e9 }.tasks()]
            .concat(),
    ))
}

fn answers(service: &Service, moments: &[f64]) -> Vec<Vec<u8>> {
    moments.iter().map(|&at| diag_snapshot::write(&service.at(at))).collect()
}

fn diag(folder: &Path, args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    command.current_dir(folder).args(args.split_whitespace()).env_remove("DIAG_TOKEN");
    command.output().expect("the program runs")
}

/// Demands the exit code and a piece of what is printed.
fn check(folder: &Folder, args: &str, code: i32, says: &str) {
    let output = diag(folder, args);
    let all = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    assert_eq!(output.status.code(), Some(code), "diag {args}\n{all}");
    assert!(all.contains(says), "diag {args} does not say {says:?}\n{all}");
}

fn watch(folder: &Folder, answers: Vec<Vec<u8>>, more: &str, code: i32, says: &str) {
    let agent = MockAgent::new(answers);
    check(folder, &format!("watch {} --every 0 -o kept {more}", agent.address()), code, says);
}

#[test]
fn clean_takes_four_snapshots_and_half_a_minute() {
    let folder = Folder::new("watch-clean");
    watch(&folder, answers(&healthy(), &[10.0, 15.0, 20.0, 30.0, 38.0, 45.0, 50.0]), "", 0, "clean");
    assert_eq!(kept(&folder).len(), 6, "it was 28 s before: {:?}", kept(&folder));
    check(&folder, "check kept", 0, "clean");

    let folder = Folder::new("watch-clean-few");
    watch(&folder, answers(&healthy(), &[10.0, 25.0, 45.0, 46.0, 50.0]), "", 0, "clean");
    assert_eq!(kept(&folder).len(), 4, "{:?}", kept(&folder));
}

#[test]
fn a_finding_that_fails_ends_it() {
    let folder = Folder::new("watch-leak");
    watch(&folder, answers(&leaking(), &[15.0, 16.0, 30.0, 40.0]), "", 1, "LEAK (likely)");
    assert_eq!(kept(&folder).len(), 3);
    check(&folder, "check kept", 1, "LEAK (likely)");
    let folder = Folder::new("watch-leak-json");
    watch(&folder, answers(&leaking(), &[15.0, 30.0]), "--format json", 1, "\"schema\": \"diag.report/2\"");
}

#[test]
fn without_a_firm_answer_it_goes_on_to_the_last_snapshot() {
    let folder = Folder::new("watch-quiet");
    let moments = [10.0, 18.0, 25.0];
    watch(&folder, answers(&quiet(), &moments), "--max 3", 0, "1 possibility");
    assert_eq!(kept(&folder).len(), 3);
    let folder = Folder::new("watch-strict");
    watch(&folder, answers(&quiet(), &moments), "--max 3 --fail-on possible", 1, "LEAK (possible)");
    assert_eq!(kept(&folder).len(), 2);
    let folder = Folder::new("watch-soon");
    watch(&folder, answers(&leaking(), &[15.0, 16.0]), "--max 2", 5, "only 1 s apart");
}

#[test]
fn the_first_and_the_newest_files_are_kept() {
    let folder = Folder::new("watch-kept");
    let moments: Vec<f64> = (0..30).map(|at| 10.0 + f64::from(at) / 10.0).collect();
    watch(&folder, answers(&healthy(), &moments), "--max 30", 5, "apart");
    let kept = kept(&folder);
    let name = |at: f64| format!("{}.diag", 1_767_225_600_000_000 + (at * 1e6).round() as u64);
    assert_eq!((kept.len(), &kept[0]), (24, &name(10.0)));
    let newest: Vec<String> = moments[22..].iter().map(|&at| name(at)).collect();
    assert_eq!(kept[16..], newest);
}

#[test]
fn a_question_without_a_snapshot_is_asked_again() {
    let broken = || b"<html>".to_vec();
    let [first, second] = [15.0, 30.0].map(|at| answers(&leaking(), &[at]).remove(0));
    let folder = Folder::new("watch-missed");
    let three = [broken(), broken(), broken()];
    let sequence: Vec<Vec<u8>> = [first.clone()].into_iter().chain(three.clone()).chain([second]).collect();
    watch(&folder, sequence, "", 1, "LEAK (likely)");
    assert_eq!(kept(&folder).len(), 2);
    let folder = Folder::new("watch-missed-too-often");
    let sequence: Vec<Vec<u8>> = [first].into_iter().chain(three).chain([broken()]).collect();
    watch(&folder, sequence, "", 3, "no snapshot this time");
    let folder = Folder::new("watch-never-there");
    watch(&folder, vec![broken()], "", 3, "is no snapshot");
}

#[test]
fn what_goes_wrong_is_told_by_the_exit_code() {
    let folder = Folder::new("watch-wrong");
    let ok = || answers(&healthy(), &[10.0]).remove(0);
    let other = Service { name: "other", ..healthy() };
    watch(&folder, vec![ok(), b"<html>".to_vec()], "", 3, "is no snapshot");
    assert_eq!(kept(&folder).len(), 1, "what was good stays");
    watch(&folder, vec![ok(), answers(&other, &[20.0]).remove(0)], "", 4, "two services, `svc` and `other`");
    std::fs::write(folder.join("file"), "").expect("a file");
    std::fs::write(folder.join("wrong.toml"), "[[alow]]").expect("a file");
    check(&folder, "watch 127.0.0.1:1 -o file", 3, "cannot make the folder file");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    check(&folder, &format!("watch {free}"), 3, "nothing listens at 127.0.0.1:");
    check(&folder, "watch https://127.0.0.1:1", 2, "plain http");
    check(&folder, "watch 127.0.0.1:1 --max 1", 2, "--max");
    check(&folder, "watch 127.0.0.1:1 --every soon", 2, "it must be a number of seconds");
    check(&folder, "watch 127.0.0.1:1 --every=-1", 2, "it must be a number of seconds, 0 or more");
    check(&folder, "watch 127.0.0.1:1 --policy wrong.toml", 2, "did you mean `allow`?");
    check(&folder, "watch", 2, "Usage");
    check(&folder, "watch --help", 0, "diag watch http://127.0.0.1:9797 -o snapshots/");
}
