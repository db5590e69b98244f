//! The desk is built three times and each build runs beside the others: the leak of 1.2.1 is found, by files and as a canary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use diag_analysis::Analysis;
use diag_diff::rules::finding::{Category, Confidence};
use diag_diff::{Outcome, Policy, Report, Series, diff, judge, judge_series};
use diag_snapshot::file;

/// A build, and the folder that it writes into.
struct Build {
    folder: PathBuf,
    run: Child,
}

/// Builds the desk with these features, and starts it.
fn start(home: &Path, name: &str, features: &str, clients: u32) -> Build {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--message-format", "json", "--features", features])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    let messages = String::from_utf8(built.stdout).expect("JSON");
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    // The next build has the same name.
    let program = home.join(name);
    fs::copy(executables.next_back().expect("an executable"), &program).expect("a copy");
    let folder = home.join(format!("{name}-snapshots"));
    let mut run = Command::new(&program);
    run.arg(&folder).args(["--clients", &clients.to_string()]);
    Build { folder, run: run.spawn().expect("it starts") }
}

impl Build {
    fn end(&mut self) {
        let status = self.run.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }

    fn snapshots(&self) -> Vec<Analysis> {
        let read = |number| {
            let (snapshot, damage) = file::read(&self.folder.join(format!("{number}.diag"))).expect("a file");
            assert_eq!(damage, []);
            Analysis::new(snapshot)
        };
        (1..=4).map(read).collect()
    }

    fn last(&self) -> Analysis {
        self.snapshots().pop().expect("four of them")
    }

    fn truth(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.folder.join("truth.json")).expect("a file")).expect("JSON")
    }
}

fn by_files(base: &Build, target: &Build) -> Report {
    judge(&diff(&base.last(), &target.last()).expect("one service"), &Policy::default())
}

/// As `diag check BASE TARGET` does it.
fn as_canary(base: &Build, target: &Build) -> Report {
    let series = Series::as_given(base.snapshots().into_iter().chain(target.snapshots()).collect());
    let report = judge_series(&series.expect("one service"), &Policy::default());
    report.expect("one service").expect("several snapshots")
}

fn found(report: &Report) -> Vec<(&str, Category, Confidence, String)> {
    let found = report.findings.iter();
    found.map(|found| (found.rule, found.category, found.confidence, found.subject.location())).collect()
}

#[test]
fn a_leak_of_the_next_version_is_found_and_its_other_changes_are_not() {
    let home = tempfile::tempdir().expect("a folder");
    let mut builds = [
        start(home.path(), "base", "", 40),
        start(home.path(), "again", "", 40),
        start(home.path(), "leaks", "v1_2_1", 40),
        start(home.path(), "mended", "mended", 40),
        start(home.path(), "busier", "mended", 60),
    ];
    builds.iter_mut().for_each(Build::end);
    let [base, again, leaks, mended, busier] = &builds;
    let spawned_at = leaks.truth()["sessions_spawned_at"].as_str().expect("a line").to_owned();
    assert_eq!(leaks.truth()["ended"], 0);

    let report = as_canary(base, leaks);
    let [(rule, category, confidence, place)] = &found(&report)[..] else { panic!("{report:#?}") };
    assert_eq!((*rule, *category, *confidence), ("task-leak", Category::Leak, Confidence::Likely));
    assert!(place.starts_with(&spawned_at) && report.fails, "{place}");
    // Two files show one moment of each.
    let report = by_files(base, leaks);
    assert!(!report.fails);
    let shift = found(&report).into_iter().find(|(_, _, _, place)| place.starts_with(&spawned_at));
    let shift = shift.map(|(rule, _, confidence, _)| (rule, confidence));
    assert_eq!(shift, Some(("size-shift", Confidence::Possible)), "{report:#?}");

    for twin in [again, mended, busier] {
        let report = as_canary(base, twin);
        assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
    }
    for twin in [again, mended] {
        let report = by_files(base, twin);
        assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
    }
    // Half as much load again is said, and decides nothing.
    let report = by_files(base, busier);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::InsufficientData), "{report:#?}");
}
