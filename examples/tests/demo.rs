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

#[test]
fn the_ghosts_are_found_at_their_site_and_counted_to_the_task() {
    let outcome = demo("faults", &[]);
    assert_eq!(outcome["report"]["answer"], "findings");
    let findings = of_rule(&outcome["report"]["findings"], "task-leak");
    let truths = of_rule(&outcome["truth"]["faults"], "task-leak");
    let ([finding], [truth]) = (&findings[..], &truths[..]) else { panic!("{outcome:#}") };
    assert_eq!(finding["grade"], "likely");
    assert_eq!(finding["subject"]["location"], truth["site"]);
    assert_eq!(finding["count"], truth["count"]);
    assert!(truth["count"].as_u64() >= Some(50), "{truth}");
}

#[test]
fn the_map_keeps_at_least_32_mib() {
    let outcome = demo("map", &["--seconds", "8"]);
    let truths = of_rule(&outcome["truth"]["faults"], "heap-growth");
    assert!(truths[0]["bytes"].as_u64() >= Some(32 << 20), "{truths:?}");
}

#[test]
fn the_healthy_twin_is_clean() {
    let outcome = demo("healthy", &["--healthy"]);
    assert_eq!(outcome["report"]["answer"], "clean", "{outcome:#}");
    assert_eq!(outcome["report"]["findings"], Value::Array(vec![]));
    assert_eq!(outcome["truth"]["faults"], Value::Array(vec![]));
}

#[test]
fn stopped_too_early_it_says_so() {
    let outcome = demo("early", &["--healthy", "--seconds", "4"]);
    assert_eq!(outcome["report"]["answer"], "insufficient_data", "{outcome:#}");
    assert_ne!(outcome["report"]["reasons"], Value::Array(vec![]));
}
