//! What a policy knows of: findings that are allowed until a day, and growth that is meant.

use diag_analysis::Analysis;
use diag_diff::rules::remark::Remark;
use diag_diff::{Confidence, Outcome, Policy, Report, Series, judge_series, report};
use diag_test_support::scenario::{Block, Churn, Ghosts, Service, Task, in_order};

/// Snapshots are of 2026-01-01.
fn judged(service: &Service, moments: &[f64], policy: &str) -> Report {
    let members = moments.iter().map(|&at| Analysis::from(service.at(at))).collect();
    let policy = Policy::parse(policy).expect("a valid policy");
    let series = Series::new(members).expect("one service");
    judge_series(&series, &policy).expect("one service").expect("two snapshots")
}

fn leak() -> Service {
    let tasks: Vec<Task> = [
        Churn { seed: 3, per_s: 20.0, lifetime: 0.5, pause: 0.1, ..Churn::default() }.tasks(),
        Ghosts { line: 7, from: 0.0, until: 40.0, per_s: 10.0 }.tasks(),
    ]
    .concat();
    Service::new(in_order(tasks))
}

/// 1 MiB a second into one function.
fn growth() -> Service {
    let block = |at: u32| Block {
        function: "svc::Cache::insert",
        size_bytes: 1 << 19,
        born: f64::from(at) / 2.0,
        freed: None,
        task: None,
    };
    Service {
        blocks: (0..160).map(block).collect(),
        ..Service::new(
            Churn { seed: 3, until: 80.0, per_s: 20.0, lifetime: 0.5, pause: 0.1, ..Churn::default() }
                .tasks(),
        )
    }
}

fn allow(what: &str, until: &str) -> String {
    format!("[[allow]]\n{what}\nreason = 'the hub is rewritten'\nuntil = '{until}'\n")
}

fn notes(report: &Report) -> String {
    report.notes.iter().map(|note| format!("{note}\n")).collect()
}

#[test]
fn what_is_allowed_is_told_apart_and_fails_nothing() {
    let leak = leak();
    let plain = judged(&leak, &[20.0, 40.0], "");
    assert!(plain.fails && plain.findings.len() == 1);
    let id = format!("id = '{}'", plain.findings[0].id);
    for what in [id.as_str(), "site = 'svc.rs:7'", "site = 'svc.rs:7:9'", "site = 'task_7'"] {
        let report = judged(&leak, &[20.0, 40.0], &allow(what, "2026-01-01"));
        assert!(!report.fails && report.findings.is_empty(), "{what}");
        assert_eq!((report.outcome, report.allowed.len()), (Outcome::Findings, 1), "{what}");
        assert_eq!(report.allowed[0].finding, plain.findings[0]);
        assert_eq!(report.headline(), "1 finding that the policy allows");
        for text in [report::text::render(&report), report::markdown::render(&report)] {
            assert!(text.contains("allowed until 2026-01-01: the hub is rewritten\n"), "{text}");
            assert!(text.contains(" tasks at svc.rs:7:9, "), "{text}");
        }
        assert!(report::json::render(&report).contains("\"until\": \"2026-01-01\""));
    }
}

#[test]
fn an_entry_that_expired_or_meets_nothing_is_a_note() {
    let leak = leak();
    let report = judged(&leak, &[20.0, 40.0], &allow("site = 'svc.rs:7'", "2025-12-31"));
    assert!(report.fails && report.allowed.is_empty());
    let told = "svc.rs:7 was allowed until 2025-12-31 and is no longer: the hub is rewritten\n";
    assert!(notes(&report).contains(told), "{}", notes(&report));

    let report = judged(&leak, &[20.0, 40.0], &allow("site = 'svc.rs:70'", "2026-01-01"));
    assert!(report.fails && report.allowed.is_empty());
    assert!(notes(&report).contains("svc.rs:70 is allowed and was not found"), "{}", notes(&report));
}

#[test]
fn growth_within_its_bound_is_no_finding() {
    let growth = growth();
    let moments = [20.0, 35.0, 50.0, 65.0, 78.0];
    let bound = |bytes: u64| format!("[[bound]]\nsite = 'Cache::insert'\nmax_bytes = {bytes}\n");
    assert!(judged(&growth, &moments, "").fails);
    let within = judged(&growth, &moments, &bound(1 << 30));
    assert_eq!((within.outcome, within.findings.len()), (Outcome::Clean, 0), "{within:?}");
    assert!(within.notes.iter().any(|note| matches!(note, Remark::WithinBound { .. })), "{}", notes(&within));
    // A bound of something else says nothing.
    assert!(judged(&growth, &moments, "[[bound]]\nsite = 'Cache::get'\nmax_bytes = 1000000000").fails);
    assert!(judged(&growth, &moments, "[[bound]]\nsite = 'Cache::insert'\nmax_tasks = 1000").fails);
}

#[test]
fn growth_above_its_bound_is_likely_even_of_two_snapshots() {
    let growth = growth();
    let pair = [20.0, 50.0];
    let open = judged(&growth, &pair, "");
    assert_eq!(open.findings[0].confidence, Confidence::Possible);
    let above = judged(&growth, &pair, "[[bound]]\nsite = 'Cache::insert'\nmax_bytes = 1048576");
    assert!(above.fails && above.findings[0].counter_evidence.is_empty(), "{above:?}");
    assert!(report::text::render(&above).contains("+ the policy bounds it at 1 MiB\n"));
    assert_eq!(above.findings[0].id, open.findings[0].id);
    // Within the interval of the estimate nothing is decided.
    let bytes = open.findings[0].bytes.expect("known");
    let near = ((bytes.low_bytes + bytes.estimate_bytes) / 2.0) as u64;
    let near = judged(&growth, &pair, &format!("[[bound]]\nsite = 'Cache::insert'\nmax_bytes = {near}"));
    assert_eq!(near.findings[0].confidence, Confidence::Possible);
}

#[test]
fn tasks_have_bounds_as_well() {
    let leak = leak();
    let bound = |tasks: u64| format!("[[bound]]\nsite = 'svc.rs:7'\nmax_tasks = {tasks}\n");
    let within = judged(&leak, &[20.0, 40.0], &bound(10_000));
    assert!(within.findings.is_empty(), "{within:?}");
    let told = notes(&within);
    assert!(
        told.contains("svc.rs:7:9 grew within its bound: ") && told.contains(" tasks of 10,000"),
        "{told}"
    );
    let above = judged(&leak, &[20.0, 40.0], &bound(100));
    assert!(above.fails && report::text::render(&above).contains("and the policy bounds them at 100\n"));
}
