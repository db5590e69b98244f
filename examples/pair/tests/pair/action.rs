//! The GitHub action beside the two builds: the leak fails the job at its line, unless it is on the allow-list and not for too
//! long.

use std::fs;

use diag_test_support::action::Run;
use diag_test_support::folder::{Folder, names};

use super::builds::{Programs, Runs};

/// Judges a run beside that of the build before it.
fn action(folder: &Folder, target: &str, more: &[(&str, &str)]) -> Run {
    let inputs = [("INPUT_BASE", Runs::ended().base.folder()), ("INPUT_TARGET", target)];
    Run::new(&Programs::built().diag, folder, &[&inputs, more].concat())
}

/// The beginning of an annotation at the line of the leak.
fn annotation(level: &str) -> String {
    let spawned_at = Runs::ended().leaks.spawned_at();
    let (file, line) = spawned_at.split_once(':').expect("a line");
    format!("::{level} file={file},line={line},")
}

#[test]
fn a_leak_fails_the_action_at_its_line_and_the_mended_build_passes() {
    let runs = Runs::ended();
    let folder = Folder::new("pair-action");
    let leaking = action(&folder, runs.leaks.folder(), &[]);
    assert_eq!(leaking.code, 1, "{}", leaking.log);
    assert!(leaking.outputs.contains("exit-code=1\n"), "{}", leaking.outputs);
    let [annotated] = leaking.annotations()[..] else { panic!("{}", leaking.log) };
    assert!(annotated.starts_with(&annotation("error")), "{annotated}");
    assert!(annotated.contains("title=diag task-leak "), "{annotated}");
    assert!(leaking.summary.starts_with("## diag: 1 finding"), "{}", leaking.summary);
    assert!(leaking.summary.contains(&runs.leaks.spawned_at()), "{}", leaking.summary);
    let kept = ["annotations.txt", "base", "errors.txt", "report.json", "summary.md", "target"];
    assert_eq!(names(&leaking.kept), kept);
    for side in ["base", "target"] {
        assert_eq!(names(&leaking.kept.join(side)), ["1.diag", "2.diag", "3.diag", "4.diag"]);
    }

    for healthy in [&runs.again, &runs.mended] {
        let healthy = action(&folder, healthy.folder(), &[]);
        assert_eq!(healthy.code, 0, "{}", healthy.log);
        assert!(healthy.outputs.contains("exit-code=0\n"), "{}", healthy.outputs);
        assert!(!healthy.log.contains("::error"), "{}", healthy.log);
        assert!(healthy.summary.starts_with("## diag: clean"), "{}", healthy.summary);
        assert_eq!(names(&healthy.kept), kept);
    }
}

#[test]
fn a_leak_on_the_allow_list_passes_until_its_day() {
    let leaks = &Runs::ended().leaks;
    let folder = Folder::new("pair-allowed");
    let until = |day: &str| {
        let site = leaks.spawned_at();
        let text = format!("[[allow]]\nsite = '{site}'\nreason = 'mended in 1.2.2'\nuntil = '{day}'\n");
        fs::write(folder.join("diag.toml"), text).expect("a policy");
        action(&folder, leaks.folder(), &[("INPUT_POLICY", "diag.toml")])
    };
    let allowed = until("2999-01-01");
    assert_eq!(allowed.code, 0, "{}", allowed.log);
    let [annotated] = allowed.annotations()[..] else { panic!("{}", allowed.log) };
    assert!(annotated.starts_with(&annotation("notice")), "{annotated}");
    assert!(annotated.contains("allowed until 2999-01-01: mended in 1.2.2"), "{annotated}");
    let over = until("2000-01-01");
    assert_eq!(over.code, 1, "{}", over.log);
    assert!(over.annotations().iter().any(|line| line.starts_with(&annotation("error"))), "{}", over.log);
}
