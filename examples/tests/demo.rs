//! The demo, run as a user runs it: what it finds is what the hub knows, and nothing when there is nothing.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `demo --once --format json` in a folder of its own.
fn demo(name: &str, flags: &[&str]) -> Value {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{name}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--once", "--format", "json", "--dir"]).arg(&dir).args(flags);
    let Output { status, stdout, stderr } = command.output().expect("the demo starts");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{status}: {stderr}");
    assert_eq!(stderr, "", "progress is for terminals only");
    serde_json::from_slice(&stdout).expect("one JSON document")
}

fn of_rule<'a>(list: &'a Value, rule: &str) -> Vec<&'a Value> {
    list.as_array().into_iter().flatten().filter(|entry| entry["rule"] == rule).collect()
}

/// The one finding of a rule, and what the hub knows of that fault.
fn finding_and_truth<'a>(outcome: &'a Value, rule: &str) -> (&'a Value, &'a Value) {
    let findings = of_rule(&outcome["report"]["findings"], rule);
    let truths = of_rule(&outcome["truth"]["faults"], rule);
    let ([finding], [truth]) = (&findings[..], &truths[..]) else { panic!("{outcome:#}") };
    (finding, truth)
}

#[test]
fn both_faults_are_found_where_they_are_and_as_large_as_they_are() {
    let outcome = demo("faults", &[]);
    assert_eq!(outcome["report"]["outcome"], "findings");

    let (ghosts, truth) = finding_and_truth(&outcome, "task-leak");
    assert_eq!(ghosts["confidence"], "likely");
    assert_eq!(ghosts["subject"]["location"], truth["site"]);
    assert_eq!(ghosts["count"], truth["count"], "to the task");
    assert!(truth["count"].as_u64() >= Some(50), "{truth}");
    let labelled =
        ghosts["evidence"].as_array().into_iter().flatten().find(|fact| fact["kind"] == "labelled");
    let labelled = labelled.expect("whose tasks they are");
    assert_eq!(labelled["key"], "device");
    let named = labelled["values"].as_array().map_or(0, Vec::len) as u64;
    let others = labelled["others"].as_u64().expect("a number");
    assert_eq!(Some(named + others), truth["count"].as_u64(), "each ghost is another device's");

    let (map, truth) = finding_and_truth(&outcome, "heap-growth");
    assert!(truth["bytes"].as_u64() >= Some(32 << 20), "{truth}");
    assert_eq!(map["confidence"], "likely");
    assert_eq!(map["subject"]["location"], truth["site"]);
    // The readings go on while a snapshot is taken, for seconds on a machine at work.
    let [after, before] = [0, 1].map(|place| readings(&outcome["truth_begun"][place]));
    let least = after - readings(&outcome["truth_before"]);
    within_reach(&map["growth"], [least, readings(&outcome["truth"]) - before]);
}

fn readings(truth: &Value) -> f64 {
    truth["readings_bytes"].as_f64().expect("the hub counts its readings")
}

/// The true growth, which is between these two, lies in the interval made twice as wide: one run in twenty may miss the interval
/// of 95 % itself, one in ten thousand this one.
fn within_reach(growth: &Value, [least, most]: [f64; 2]) {
    let [low, estimate, high] = ["low_bytes", "estimate_bytes", "high_bytes"]
        .map(|key| growth[key].as_f64().unwrap_or_else(|| panic!("{key} in {growth}")));
    let (low, high) = (estimate - 2.0 * (estimate - low), estimate + 2.0 * (high - estimate));
    assert!(low <= most && least <= high, "{least} to {most} is not in {low} to {high}");
}

#[test]
fn the_healthy_twin_is_clean() {
    let outcome = demo("healthy", &["--healthy"]);
    assert_eq!(outcome["report"]["outcome"], "clean", "{outcome:#}");
    assert_eq!(outcome["report"]["findings"], Value::Array(vec![]));
    assert_eq!(outcome["truth"]["faults"], Value::Array(vec![]));
}

#[test]
fn stopped_too_early_it_says_so() {
    let outcome = demo("early", &["--healthy", "--seconds", "2"]);
    assert_eq!(outcome["report"]["outcome"], "insufficient_data", "{outcome:#}");
    assert_ne!(outcome["report"]["reasons"], Value::Array(vec![]));
}
