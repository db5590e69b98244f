//! What the doctor says of snapshots that no service of this build would write: stripped, of an older tokio, of two of them.

use diag_analysis::Analysis;
use diag_analysis::doctor::{Checkup, Complaint};
use diag_snapshot::{
    FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, Part, PartState, Setting, SettingSource, Snapshot,
};
use diag_test_support::scenario::{Churn, Service};

const TOKIO: &str = "/r/registry/src/i/tokio-1.54.1/src/runtime/task/mod.rs";

/// A service that is set up well, but for its heap, which a scenario has none of.
fn healthy() -> Snapshot {
    let mut snapshot = Service::new(Churn::default().tasks()).at(30.0);
    let heap = Setting { variable: "DIAG_HEAP".into(), value: "sample".into(), from: SettingSource::Default };
    snapshot.capture.settings = vec![heap];
    snapshot.capture.parts = vec![Part { name: "agent".into(), state: PartState::Works, why: None }];
    snapshot.capture.runtimes[0].busy_by_worker_ns = vec![1, 2];
    let [path, function, file] =
        ["/srv/desk", "desk::serve", "src/desk.rs"].map(|text| snapshot.strings.intern(text));
    snapshot.stacks.modules.push(ModuleRow { path, ..ModuleRow::default() });
    for offset in 0..40 {
        let frame = FrameIndex(offset as u32);
        snapshot.stacks.frames.push(FrameRow { module: Some(ModuleIndex(0)), offset });
        snapshot.stacks.names.push(NameRow { frame, function, file: Some(file), line: Some(7) });
    }
    snapshot
}

fn check(harm: impl FnOnce(&mut Snapshot), expected: &[(&str, &str, &str)]) {
    let mut snapshot = healthy();
    harm(&mut snapshot);
    let complaints = Checkup::of(&Analysis::new(snapshot)).complaints;
    let kinds: Vec<&str> = complaints.iter().map(Complaint::kind).collect();
    assert_eq!(kinds, expected.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), "{complaints:?}");
    for (complaint, (_, says, mend)) in complaints.iter().zip(expected) {
        let (is, how) = (complaint.to_string(), complaint.mend());
        assert!(is.contains(says) && how.contains(mend), "{is} / {how}");
    }
}

/// Puts a function into this file.
fn add_function(snapshot: &mut Snapshot, file: &str) {
    let [function, file] = ["tokio::runtime::task::poll", file].map(|text| snapshot.strings.intern(text));
    let frame = FrameIndex(0);
    let names: Vec<NameRow> = snapshot.stacks.names.iter().collect();
    let new = NameRow { frame, function, file: Some(file), line: Some(9) };
    snapshot.stacks.names = [vec![new], names].concat().into_iter().collect();
}

#[test]
fn nothing_is_said_of_a_good_one() {
    check(|_| {}, &[]);
    check(|snapshot| add_function(snapshot, TOKIO), &[]);
}

#[test]
fn a_stripped_binary_is_told_with_its_build_id() {
    let strip = |build_id: Option<&'static str>| {
        move |snapshot: &mut Snapshot| {
            snapshot.stacks.names = Default::default();
            let mut module = snapshot.stacks.modules.get(0).expect("one");
            module.build_id = build_id.map(|id| snapshot.strings.intern(id));
            snapshot.stacks.modules = [module].into_iter().collect();
        }
    };
    check(strip(Some("8f3a")), &[("stripped", "40 of 40 frames of desk: it is stripped", "build id 8f3a")]);
    check(strip(None), &[("stripped", "frames of desk", "--build-id")]);
}

#[test]
fn names_without_lines_lack_debug_info() {
    let without_lines = |snapshot: &mut Snapshot| {
        let names = snapshot.stacks.names.iter().map(|name| NameRow { file: None, line: None, ..name });
        snapshot.stacks.names = names.collect();
    };
    check(without_lines, &[("no_lines", "0 of 40 functions are known by file and line", "line-tables-only")]);
}

#[test]
fn tokio_is_told_by_where_its_sources_lie() {
    let old = |snapshot: &mut Snapshot| {
        snapshot.capture.runtimes[0].busy_by_worker_ns = Vec::new();
        add_function(snapshot, &TOKIO.replace("1.54.1", "1.41.0"));
    };
    check(old, &[("old_tokio", "tokio 1.41.0 does not tell how busy", "cargo update -p tokio")]);
    let two = |snapshot: &mut Snapshot| {
        add_function(snapshot, TOKIO);
        add_function(snapshot, &TOKIO.replace("1.54.1", "0.2.25"));
    };
    check(two, &[("two_tokios", "two tokios are linked, 0.2.25 and 1.54.1", "cargo tree -i tokio -d")]);
}

#[test]
fn coverage_and_what_was_not_recorded_are_told() {
    let uncovered = |snapshot: &mut Snapshot| snapshot.capture.runtimes[0].alive_tasks = Some(1_000_000);
    check(uncovered, &[("low_coverage", "coverage is 0 %", "diag::Alloc")]);
    let dropped = |snapshot: &mut Snapshot| {
        snapshot.capture.dropped.insert("tasks".to_owned(), 2);
        snapshot.capture.dropped_sentences.insert("tasks".to_owned(), "a task found no room".to_owned());
    };
    check(dropped, &[("not_recorded", "a task found no room (2 times)", "see what it says")]);
}

#[test]
fn an_older_recorder_and_another_tool_tell_no_settings() {
    let untold = |snapshot: &mut Snapshot| snapshot.capture.parts.clear();
    check(untold, &[("tells_no_settings", "was not taken by diag", "newest diag")]);
}
