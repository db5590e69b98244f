//! The rule `heap-share` over series: a kind of thing that many functions allocate, and its healthy twins. What it says of
//! one snapshot is tested in `heap_profile.rs`.

use diag_analysis::Analysis;
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Outcome, Policy, Report, Series, judge_series};
use diag_test_support::scenario::{Block, Service, Steady};

const FUNCTIONS: [&str; 16] = [
    "svc::a", "svc::b", "svc::c", "svc::d", "svc::e", "svc::f", "svc::g", "svc::h", "svc::i", "svc::j",
    "svc::k", "svc::l", "svc::m", "svc::n", "svc::o", "svc::p",
];
const KIB: u64 = 1 << 10;

/// A block a second from `from` to `to`, each allocated by one of so many functions in turn.
fn blocks(functions: usize, from: f64, to: f64, size_bytes: u64) -> Vec<Block> {
    let born = |second: u32| from + f64::from(second);
    let seconds = (to - from) as u32;
    let block = |second: u32| Block {
        function: FUNCTIONS[second as usize % functions],
        size_bytes,
        born: born(second),
        freed: None,
        task: None,
    };
    (0..seconds).map(block).collect()
}

/// 16 MiB that stay, and blocks that come to them.
fn service(grown: Vec<Block>) -> Service {
    let large = |size_bytes| Block { function: "svc::main", size_bytes, born: 0.0, freed: None, task: None };
    Service { blocks: [vec![large(16 << 20)], grown].concat(), ..Service::new(Vec::new()) }
}

fn judged(service: &Service, moments: &[f64], policy: &str) -> Report {
    let members = moments.iter().map(|&at| Analysis::from(service.at(at)));
    let series = Series::new(members.collect()).expect("one service");
    let policy = Policy::parse(policy).expect("valid");
    judge_series(&series, &policy).expect("one service").expect("enough of them")
}

fn lines(report: &Report) -> Vec<String> {
    let line = |found: &diag_diff::Finding| {
        let (category, confidence) = (found.category.as_str(), found.confidence.as_str());
        format!("{category} {confidence} {} {}", found.rule, found.subject.location())
    };
    report.findings.iter().map(line).collect()
}

fn check(service: &Service, moments: &[f64], expected: &[&str]) {
    assert_eq!(lines(&judged(service, moments, "")), expected);
}

const MOMENTS: [f64; 7] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0];
const FOUND: &str = "leak possible heap-share (Vec blocks)";

#[test]
fn a_kind_that_many_functions_allocate_is_found() {
    let spread = service(blocks(16, 1.0, 80.0, 400 * KIB));
    let report = judged(&spread, &MOMENTS, "");
    assert_eq!(lines(&report), [FOUND]);
    assert_eq!((report.outcome, report.fails), (Outcome::Findings, false));
    let evidence = &report.findings[0].evidence;
    assert!(matches!(evidence[0], Evidence::ShareOfHeap { .. }), "{evidence:?}");
    assert!(matches!(evidence[1], Evidence::GrewInWindows { windows: 3, .. }), "{evidence:?}");
    assert!(matches!(&evidence[2..], [Evidence::AllocatedBy { .. }, ..]), "{evidence:?}");
}

#[test]
fn what_one_function_allocates_is_told_by_heap_growth() {
    let one = service(blocks(1, 1.0, 80.0, 400 * KIB));
    check(&one, &MOMENTS, &["leak likely heap-growth svc.rs:103"]);
}

#[test]
fn a_kind_that_is_full_is_silent() {
    check(&service(blocks(16, 1.0, 45.0, 400 * KIB)), &MOMENTS, &[]);
    check(&service(Vec::new()), &MOMENTS, &[]);
}

#[test]
fn two_snapshots_and_a_short_series_say_nothing() {
    let spread = service(blocks(16, 1.0, 80.0, 400 * KIB));
    check(&spread, &[40.0, 70.0], &[]);
    check(&spread, &[40.0, 47.0, 54.0, 61.0], &[]);
}

/// As many times as many tasks hold as many times as much.
#[test]
fn a_kind_that_grows_with_its_tasks_is_silent() {
    let tasks = |count, to| Steady { line: 7, count, from: 0.0, until: to, pause: 1.0 }.tasks();
    let with = |tasks| Service { tasks, ..service(blocks(16, 1.0, 80.0, 400 * KIB)) };
    for (tasks, expected) in [(tasks(80, 80.0), 0), (tasks(80, 1.0), 1)] {
        let found = lines(&judged(&with(tasks), &MOMENTS, ""));
        assert_eq!(found.iter().filter(|line| *line == FOUND).count(), expected, "{found:?}");
    }
}

#[test]
fn the_policy_decides() {
    let spread = service(blocks(16, 1.0, 80.0, 400 * KIB));
    for (policy, expected) in [
        ("min_growth_s = 60", 1),
        ("min_growth_s = 60.1", 0),
        ("min_windows = 6", 1),
        ("min_windows = 7", 0),
        ("max_share_percent = 99.9", 1),
        ("max_share_percent = 100", 0),
        ("min_live_bytes = 30000000", 1),
        ("min_live_bytes = 60000000", 0),
    ] {
        let report = judged(&spread, &MOMENTS, &format!("[rules.heap-share]\n{policy}"));
        let found = report.findings.iter().filter(|found| found.rule == "heap-share").count();
        assert_eq!(found, expected, "{policy}: {:?}", lines(&report));
    }
}
