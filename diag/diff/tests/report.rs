//! Reports as people read them: golden texts in `testdata/diff`, rewritten with `DIAG_BLESS=1`.

mod compared;

use std::path::Path;

use compared::diff;
use diag_diff::report::{json, markdown, text};
use diag_diff::{Policy, Report, judge};
use diag_test_support::golden::assert_golden;
use diag_test_support::scenario::{Churn, Ghosts, Service, Steady, Task, in_order};

fn report(tasks: Vec<Task>, before: f64, after: f64) -> Report {
    let service = Service { untracked: |_| Some(3), ..Service::new(in_order(tasks)) };
    judge(&diff(&service.at(before), &service.at(after)).expect("one service"), &Policy::default())
}

fn check(name: &str, actual: &str) {
    assert_golden(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diff").join(name), actual);
}

fn leak() -> Report {
    let healthy = Churn { ..Churn::default() }.tasks();
    report(
        [
            healthy,
            Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks(),
            Steady { line: 12, count: 3, from: 0.0, until: 1.0, pause: 0.5 }.tasks(),
        ]
        .concat(),
        15.0,
        30.0,
    )
}

#[test]
fn a_leak() {
    let report = leak();
    check("leak.txt", &text::render(&report));
    check("leak.json", &json::render(&report));
    check("leak.md", &markdown::render(&report));
}

#[test]
fn a_possibility() {
    check(
        "possible.txt",
        &text::render(&report(
            Steady { line: 7, count: 400, from: 0.0, until: 40.0, pause: 1e9 }.tasks(),
            10.0,
            25.0,
        )),
    );
}

#[test]
fn nothing() {
    check("clean.txt", &text::render(&report(Churn { ..Churn::default() }.tasks(), 15.0, 30.0)));
}

#[test]
fn too_little() {
    check("too-little.txt", &text::render(&report(Churn { ..Churn::default() }.tasks(), 15.0, 16.0)));
}

#[test]
fn every_number_of_the_text_is_one_of_the_json() {
    let report = leak();
    let document: serde_json::Value = serde_json::from_str(&json::render(&report)).expect("JSON");
    let finding = &document["findings"][0];
    assert_eq!(finding["count"], 400);
    assert!(text::render(&report).contains("LEAK (likely): 400 tasks at svc.rs:7:9"));
    assert_eq!(finding["waiting_at"], serde_json::Value::Null);
    assert_eq!(document["window_ns"], 15_000_000_000_u64);
    assert_eq!(document["before"]["taken"], "2026-01-01T00:00:15Z");
}

#[test]
fn whatever_was_not_recorded_is_a_note() {
    let service = Service::new(Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks());
    let mut after = service.at(30.0);
    after.capture.dropped = [("a".to_owned(), 1), ("b".to_owned(), 2_000), ("c".to_owned(), 3)].into();
    let told = [("a", "a thing had no room"), ("b", "a name\u{1b}[2J was long")];
    after.capture.dropped_sentences = told.map(|(name, told)| (name.to_owned(), told.to_owned())).into();
    let report = judge(&diff(&service.at(10.0), &after).expect("one service"), &Policy::default());
    let rendered = text::render(&report);
    assert!(rendered.contains("note: not recorded: a thing had no room (1 time)\n"), "{rendered}");
    assert!(rendered.contains(" was long (2,000 times)\n") && !rendered.contains('\u{1b}'), "{rendered}");
    assert!(rendered.contains("note: the recorder dropped or skipped 3 c\n"), "{rendered}");
}

#[test]
fn names_cannot_play_with_the_terminal() {
    let service = Service::new(Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks());
    let spoil = |mut snapshot: diag_snapshot::Snapshot| {
        let name = snapshot.strings.intern("a\u{1b}[2Jb|c");
        snapshot.sites = snapshot
            .sites
            .iter()
            .map(|row| diag_snapshot::SiteRow { file: name, type_name: name, ..row })
            .collect();
        snapshot
    };
    let diff = diff(&spoil(service.at(10.0)), &spoil(service.at(30.0))).expect("one service");
    let report = judge(&diff, &Policy::default());
    assert_eq!(report.findings.len(), 1);
    for rendered in [text::render(&report), markdown::render(&report), json::render(&report)] {
        assert!(!rendered.contains('\u{1b}'), "{rendered}");
    }
}
