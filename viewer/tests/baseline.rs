//! `diag baseline`: three seeded regressions flag their own dimension and no other, and healthy runs none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use diag_analysis::pprof::{CpuFacts, CpuSample, cpu};
use diag_snapshot::{Snapshot, StackIndex};
use diag_test_support::call_stack::call_stack;
use diag_test_support::folder::Folder;
use diag_test_support::random::XorShift;
use diag_test_support::scenario::{Block, Service, Task, in_order};

/// How a run differs from a healthy one.
#[derive(Clone, Copy, PartialEq)]
enum Regression {
    None,
    /// A test takes 1.6 times as long.
    SlowerEnd,
    /// One function allocates 30 % more.
    Allocations,
    /// Tasks of one site live four times as long.
    LaterEnds,
}

/// A factor near 1: of five in a hundred, as runs differ.
fn near(random: &mut XorShift) -> f64 {
    1.0 + 0.05 * (2.0 * random.uniform() - 1.0)
}

fn junit(random: &mut XorShift, regression: Regression) -> String {
    let slower = if regression == Regression::SlowerEnd { 1.6 } else { 1.0 };
    let case = |name: &str, seconds: f64| {
        format!("<testcase classname=\"desk\" name=\"{name}\" time=\"{seconds:.3}\"/>")
    };
    let cases = [
        case("quotes", 0.4 * near(random)),
        case("closes", 1.2 * slower * near(random)),
        case("quick", 0.002 * near(random)),
    ];
    format!("<testsuites><testsuite name=\"desk\">{}</testsuite></testsuites>", cases.concat())
}

fn snapshot(random: &mut XorShift, regression: Regression) -> Snapshot {
    let longer = if regression == Regression::LaterEnds { 4.0 } else { 1.0 };
    let more = if regression == Regression::Allocations { 1.3 } else { 1.0 };
    let task = |line: u32, spawned: f64, lives: f64| Task {
        line,
        spawned,
        rests: None,
        ended: Some(spawned + lives),
        pause: 0.05,
    };
    let mut tasks = Vec::new();
    for i in 0..400 {
        let spawned = f64::from(i) * 0.05;
        tasks.push(task(7, spawned, 0.3 * near(random)));
        tasks.push(task(9, spawned, 0.1 * longer * near(random)));
    }
    let mut service = Service::new(in_order(tasks));
    let mut block = |function: &'static str, count: f64| {
        // Of a size that is sampled almost always, so that chance is in the number alone.
        let count = (count * near(random)).round() as u32;
        let blocks = (0..count).map(|i| Block {
            function,
            size_bytes: 4 << 20,
            born: 0.1 + f64::from(i) * 0.01,
            freed: Some(30.0),
            task: None,
        });
        service.blocks.extend(blocks.collect::<Vec<_>>());
    };
    block("desk::quote", 200.0 * more);
    block("desk::book", 300.0);
    service.blocks.sort_by(|a, b| a.born.total_cmp(&b.born));
    service.at(40.0)
}

/// A CPU profile of two functions.
fn cpu_profile(random: &mut XorShift) -> Vec<u8> {
    let mut snapshot = Snapshot::default();
    let stacks: Vec<StackIndex> = ["desk::quote", "desk::book"]
        .map(|function| call_stack(&mut snapshot, [(function, None), ("main", None)]))
        .to_vec();
    let samples: Vec<CpuSample> = (stacks.into_iter())
        .map(|stack| CpuSample { stack, task_site: None, samples: (500.0 * near(random)) as u64 })
        .collect();
    let facts =
        CpuFacts { taken_unix_us: 1, for_us: 10_000_000, period_ns: 10_000_000, cpu_ns: 10_000_000_000 };
    cpu(&snapshot.stacks, &snapshot.strings, &samples, facts)
}

/// Writes what a run leaves.
fn write_run(folder: &Path, name: &str, seed: u64, regression: Regression) -> PathBuf {
    let mut random = XorShift::new(seed);
    let run = folder.join(name);
    fs::create_dir_all(&run).expect("a folder");
    let files = [
        ("junit.xml", junit(&mut random, regression).into_bytes()),
        ("last.diag", diag_snapshot::write(&snapshot(&mut random, regression))),
        ("cpu.pb.gz", cpu_profile(&mut random)),
    ];
    for (file, bytes) in files {
        fs::write(run.join(file), bytes).expect("a file");
    }
    run
}

fn baseline(folder: &Path, command: &str, runs: &[PathBuf], more: &[&str]) -> Output {
    let mut diag = Command::new(env!("CARGO_BIN_EXE_diag"));
    diag.current_dir(folder).args(["baseline", command, "baseline.json"]).args(more);
    diag.args(runs.iter().flat_map(|run| ["--run".as_ref(), run.as_os_str()]));
    diag.output().expect("it runs")
}

/// Writes some runs with these seeds.
fn runs(folder: &Path, name: &str, seeds: std::ops::Range<u64>, regression: Regression) -> Vec<PathBuf> {
    seeds.map(|seed| write_run(folder, &format!("{name}-{seed}"), seed, regression)).collect()
}

/// A folder with a baseline of five healthy runs.
fn recorded(name: &str) -> Folder {
    let folder = Folder::new(name);
    let output = baseline(&folder, "record", &runs(&folder, "base", 1..6, Regression::None), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

/// The dimensions that are flagged, and the exit code.
fn flagged(folder: &Path, runs: &[PathBuf]) -> (Vec<String>, Option<i32>, String) {
    let output = baseline(folder, "check", runs, &["--format", "json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["schema"], "diag.baseline_check/1");
    let shifts = document["shifts"].as_object().expect("the dimensions");
    let changed =
        shifts.iter().filter(|(_, shifts)| shifts.as_array().is_some_and(|shifts| !shifts.is_empty()));
    (changed.map(|(dimension, _)| dimension.clone()).collect(), output.status.code(), text)
}

#[test]
fn each_regression_flags_its_own_dimension_and_no_other() {
    let folder = recorded("baseline");
    for (name, regression, dimension, feature) in [
        ("slower", Regression::SlowerEnd, "execution_stability", "test desk closes: time_s"),
        ("allocates", Regression::Allocations, "resource_sensitivity", "desk::quote: allocated_bytes"),
        ("later", Regression::LaterEnds, "task_health", "tasks at svc.rs svc::task_9: lifetime_ms"),
    ] {
        let (changed, code, text) = flagged(&folder, &runs(&folder, name, 100..103, regression));
        assert_eq!((changed, code), (vec![dimension.to_owned()], Some(1)), "{name}: {text}");
        assert!(text.contains(feature), "{name}: {text}");
    }
    // The others of its dimension did not change.
    let (_, _, text) = flagged(&folder, &runs(&folder, "later", 100..103, Regression::LaterEnds));
    assert!(!text.contains("svc::task_7"), "{text}");
}

#[test]
fn healthy_runs_flag_nothing() {
    let folder = recorded("baseline-healthy");
    // One by one, which is harder than several together.
    for run in runs(&folder, "healthy", 200..220, Regression::None) {
        let (changed, code, text) = flagged(&folder, &[run]);
        assert_eq!((changed, code), (vec![], Some(0)), "{text}");
    }
}

#[test]
fn the_file_reviews_well() {
    let folder = recorded("baseline-file");
    let text = fs::read_to_string(folder.join("baseline.json")).expect("a baseline");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].contains("diag.baseline/1") && lines[2].contains("\"runs\": 5"), "{text}");
    let features = lines.iter().filter(|line| line.contains("\"median\": ")).count();
    assert!(features > 8 && lines.len() < features + 12, "a line each: {text}");
    // Recorded again, it is the same to the byte.
    let again = baseline(
        &folder,
        "record",
        &(1..6).map(|seed| folder.join(format!("base-{seed}"))).collect::<Vec<_>>(),
        &[],
    );
    assert!(again.status.success());
    assert_eq!(fs::read_to_string(folder.join("baseline.json")).expect("a baseline"), text);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let folder = recorded("baseline-wrong");
    let run = [folder.join("base-1")];
    let check = |command: &str, runs: &[PathBuf], code: i32, says: &str| {
        let output = baseline(&folder, command, runs, &[]);
        let all = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{all}");
        assert!(all.contains(says), "{all}");
    };
    check("record", &run, 2, "1 run make no baseline: give 3 or more");
    fs::create_dir(folder.join("empty")).expect("a folder");
    check("check", &[folder.join("empty")], 3, "there are no test events");
    check("check", &[folder.join("missing")], 3, "missing");
    check("check", &run, 0, "as usual");
    // Of another suite nothing is in both.
    fs::create_dir(folder.join("other")).expect("a folder");
    let event = r#"{"type":"test","event":"ok","name":"other","exec_time":1.0}"#;
    fs::write(folder.join("other/events.json"), event).expect("a file");
    fs::write(folder.join("baseline.json"), r#"{"schema":"diag.baseline/1","runs":3}"#).expect("a file");
    check("check", &[folder.join("other")], 5, "too little to compare");
    fs::write(folder.join("baseline.json"), r#"{"schema":"diag.baseline/9","runs":3}"#).expect("a file");
    check("check", &run, 3, "record it again");
}
