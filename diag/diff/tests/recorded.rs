//! Recorded series, in `testdata/series`: each is of one process, whole, in order, and has a healthy one beside it, unless it is healthy.
//!
//! The programs are those of `examples/zoo`, and beside the files lies the source that they were recorded from.

use std::fs;
use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_diff::{Policy, Series, judge_series};
use diag_snapshot::file;

/// Programs without a fault.
const HEALTHY_ONLY: [&str; 1] = ["ramp"];

fn folders() -> Vec<PathBuf> {
    sorted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/series"))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// The snapshots in a folder by their names, which are seconds of the run.
fn read(folder: &Path) -> Vec<Analysis> {
    let mut paths = sorted(folder);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "diag"));
    let whole = |path: &PathBuf| {
        let (snapshot, damages) = file::read(path).expect("it can be read");
        assert!(damages.is_empty(), "{}: {damages:?}", path.display());
        Analysis::new(snapshot)
    };
    paths.iter().map(whole).collect()
}

#[test]
fn each_is_of_one_process_in_order() {
    for folder in folders() {
        let series = Series::as_given(read(&folder)).expect("one service");
        let uptimes: Vec<u64> =
            series.members().iter().map(|member| member.snapshot().capture.to_us).collect();
        assert_eq!((uptimes.len(), series.restarts()), (6, &[][..]), "{}", name(&folder));
        assert!(uptimes.is_sorted(), "{}: {uptimes:?}", name(&folder));
        assert!(uptimes[5] - uptimes[0] >= 50_000_000, "{}: {uptimes:?}", name(&folder));
    }
}

#[test]
fn each_can_be_judged_and_is_of_the_program_that_it_says() {
    for folder in folders() {
        let series = Series::as_given(read(&folder)).expect("one service");
        let report = judge_series(&series, &Policy::default()).expect("one service").expect("enough of them");
        let program = name(&folder).split("--").next();
        assert_eq!(Some(report.service.as_str()), program);
        assert!(report.same_process, "{}", name(&folder));
    }
}

#[test]
fn each_fault_has_a_healthy_twin() {
    let folders = folders();
    let is_healthy =
        |folder: &Path| name(folder).ends_with("--healthy") || HEALTHY_ONLY.contains(&name(folder));
    let faults: Vec<&PathBuf> = folders.iter().filter(|folder| !is_healthy(folder)).collect();
    for fault in &faults {
        let twin = format!("{}--healthy", name(fault));
        assert!(folders.iter().any(|folder| name(folder) == twin), "there is no {twin}");
    }
    assert!(faults.len() >= 8, "only {}", faults.len());
}
