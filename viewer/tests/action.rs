//! The script of the GitHub action, run as a workflow runs it: exit code, summary, annotations, artifacts.

use std::fs;
use std::path::Path;
use std::process::Command;

use diag_test_support::action::{ACTION, Run};
use diag_test_support::folder::{Folder, names};
use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};

/// Runs the script with these inputs, in a folder of its own.
fn run(folder: &Path, inputs: &[(&str, &str)]) -> Run {
    Run::new(Path::new(env!("CARGO_BIN_EXE_diag")), folder, inputs)
}

/// A recorded service: one that leaks a task at each connection, and its healthy twin.
fn recorded(name: &str) -> String {
    format!("{}/../testdata/series/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a small series of a service that leaks at `svc.rs:7`.
fn leaking(folder: &Path) -> String {
    let healthy = Churn { until: 60.0, ..Churn::default() }.tasks();
    let ghosts = Ghosts { line: 7, from: 0.0, until: 50.0, per_s: 8.0 }.tasks();
    let service = Service::new(in_order([healthy, ghosts].concat()));
    let series = folder.join("series");
    fs::create_dir_all(&series).expect("a folder");
    for (number, at) in [15.0, 25.0, 35.0, 45.0].into_iter().enumerate() {
        let bytes = diag_snapshot::write(&service.at(at));
        fs::write(series.join(format!("{number}.diag")), bytes).expect("a file");
    }
    series.display().to_string()
}

#[test]
fn a_leak_fails_at_its_line_and_its_healthy_twin_passes() {
    let folder = Folder::new("action");
    let leaking = run(&folder, &[("INPUT_TARGET", &recorded("heartbeat"))]);
    assert_eq!(leaking.code, 1, "{}", leaking.log);
    assert!(leaking.outputs.contains("exit-code=1\n"), "{}", leaking.outputs);
    let annotation = "::error file=src/bin/heartbeat.rs,line=42,col=24,title=diag task-leak ";
    let annotations = leaking.annotations();
    assert!(annotations.iter().any(|line| line.starts_with(annotation)), "{}", leaking.log);
    // One line each, whatever the message has.
    assert!(annotations.iter().all(|line| line.contains("%0Anext: ")), "{annotations:?}");
    assert!(leaking.summary.starts_with("## diag: 2 findings"), "{}", leaking.summary);
    assert!(leaking.summary.contains("heartbeat.rs:42:24"), "{}", leaking.summary);
    assert_eq!(names(&leaking.kept.join("target")).len(), 6);
    let kept = names(&leaking.kept);
    assert_eq!(kept, ["annotations.txt", "errors.txt", "report.json", "summary.md", "target"]);

    let healthy = run(&folder, &[("INPUT_TARGET", &recorded("heartbeat--healthy"))]);
    assert_eq!(healthy.code, 0, "{}", healthy.log);
    assert!(!healthy.log.lines().any(|line| line.starts_with("::error")), "{}", healthy.log);
    assert!(healthy.summary.starts_with("## diag: clean"), "{}", healthy.summary);
}

#[test]
fn a_base_is_kept_beside_the_target() {
    let folder = Folder::new("action-base");
    let series = leaking(&folder);
    let [first, last] = [0, 3].map(|number| format!("{series}/{number}.diag"));
    let pair = run(&folder, &[("INPUT_BASE", &first), ("INPUT_TARGET", &last)]);
    assert_eq!(pair.code, 1, "{}", pair.log);
    assert_eq!([names(&pair.kept.join("base")).len(), names(&pair.kept.join("target")).len()], [1, 1]);
    assert!(pair.outputs.contains(&format!("exit-code={}\n", pair.code)));
}

#[test]
fn what_is_allowed_passes_until_its_day() {
    let folder = Folder::new("action-allowed");
    let series = leaking(&folder);
    let policy = |until: &str| {
        let text = format!("[[allow]]\nsite = 'svc.rs:7'\nreason = 'known'\nuntil = '{until}'\n");
        fs::write(folder.join("diag.toml"), text).expect("a policy");
        run(&folder, &[("INPUT_TARGET", &series), ("INPUT_POLICY", "diag.toml")])
    };
    let allowed = policy("2999-01-01");
    assert_eq!(allowed.code, 0, "{}", allowed.log);
    let notice = "::notice file=svc.rs,line=7,col=9,";
    assert!(
        allowed.log.contains(notice) && allowed.log.contains("allowed until 2999-01-01: known"),
        "{}",
        allowed.log
    );
    let over = policy("2000-01-01");
    assert_eq!(over.code, 1, "{}", over.log);
    assert!(over.log.contains("::error file=svc.rs,line=7,"), "{}", over.log);
}

#[test]
fn without_a_report_it_says_why() {
    let folder = Folder::new("action-none");
    for (inputs, code, says) in [
        (&[("INPUT_TARGET", "nothing-here")][..], 2, "one snapshot cannot be compared"),
        (&[("INPUT_TARGET", "."), ("INPUT_FAIL_ON", "sometimes")], 2, "invalid value"),
        (&[("INPUT_TARGET", ".")], 3, "there is no snapshot that can be read"),
    ] {
        let run = run(&folder, inputs);
        assert_eq!(run.code, code, "{}", run.log);
        assert!(run.summary.contains("## diag: no report") && run.summary.contains(says), "{}", run.summary);
        assert!(run.log.contains("::error title=diag::"), "{}", run.log);
    }
    // The script's own refusal.
    assert_ne!(run(&folder, &[]).code, 0);
}

/// The words between two others in each line that has both.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let parts = text.split(before).skip(1).filter_map(|rest| rest.split_once(after));
    parts.map(|(part, _)| part.trim()).collect()
}

#[test]
fn the_action_hands_each_input_to_the_script() {
    let [action, script] = ["action.yml", "check.sh"]
        .map(|file| fs::read_to_string(format!("{ACTION}/{file}")).expect("a file"));
    let given: Vec<&str> = between(&action, "      INPUT_", ":");
    let asked = between(&script, "${INPUT_", ":");
    assert!(given.len() == 5 && given.iter().all(|input| asked.contains(input)), "{given:?} {asked:?}");
    let declared = action.split_once("\noutputs:").map(|(inputs, _)| inputs).expect("outputs follow");
    for input in between(&action, "${{ inputs.", " }}") {
        assert!(declared.contains(&format!("\n  {input}:\n")), "{input} is not declared");
    }
    for output in between(&action, "steps.check.outputs.", " ") {
        assert!(script.contains(&format!("echo \"{output}=")), "{output}");
    }
}

#[test]
fn gitlab_gets_its_own_report() {
    let folder = Folder::new("gitlab");
    let mut check = Command::new(env!("CARGO_BIN_EXE_diag"));
    check.current_dir(&*folder).args(["check", &leaking(&folder), "--write", "gitlab=quality.json"]);
    assert_eq!(check.output().expect("it runs").status.code(), Some(1));
    let text = fs::read_to_string(folder.join("quality.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let leak = &report[0];
    assert_eq!(leak["check_name"], "task-leak");
    assert_eq!(leak["location"]["path"], "svc.rs");
    assert_eq!(leak["location"]["lines"]["begin"], 7);
    assert_eq!(leak["severity"], "critical");
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_diag"));
    let output = wrong.args(["check", ".", "--write", "pdf=x"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there are text, json"));
}
