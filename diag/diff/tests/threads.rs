//! The rule `resident-growth` on threads that become more, and on a pool that grows with its load.

use diag_analysis::Analysis;
use diag_diff::{Confidence, Policy, Report, Series, judge_series};
use diag_test_support::scenario::{Block, Churn, Service, Task, in_order};

/// How sure it is of threads over a minute.
fn found(tasks: Vec<Task>, threads: impl Fn(f64) -> f64) -> Vec<Confidence> {
    let report = report(&Service::new(in_order(tasks)), threads);
    let of_threads = |place: &str| place == "(threads)";
    report
        .findings
        .iter()
        .filter(|found| of_threads(&found.subject.location()))
        .map(|found| found.confidence)
        .collect()
}

fn report(service: &Service, threads: impl Fn(f64) -> f64) -> Report {
    let members = (1..=12).map(|i| {
        let at = 5.0 * f64::from(i);
        let mut snapshot = service.at(at);
        snapshot.capture.resources.threads = Some(threads(at) as u64);
        Analysis::from(snapshot)
    });
    let series = Series::new(members.collect()).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("twelve snapshots")
}

fn load(seed: u64, from: f64) -> Vec<Task> {
    Churn { seed, from, until: 61.0, ..Churn::default() }.tasks()
}

#[test]
fn threads_that_rise_evenly_under_the_same_load_are_likely() {
    assert_eq!(found(load(1, 0.0), |at| 10.0 + 2.5 * at), [Confidence::Likely]);
    assert_eq!(
        found(Vec::new(), |at| 10.0 + 2.5 * at),
        [Confidence::Likely],
        "nobody says what there is to do"
    );
}

#[test]
fn threads_that_rise_with_the_load_or_come_to_an_end_are_possible() {
    let steps = (0..6).flat_map(|step| load(step, 10.0 * step as f64)).collect();
    assert_eq!(found(steps, |at| 10.0 + 2.5 * at), [Confidence::Possible]);
    assert_eq!(found(load(1, 0.0), |at| 10.0 + 20.0 * at.sqrt()), [Confidence::Possible]);
}

#[test]
fn threads_that_are_all_there_are_silent() {
    assert_eq!(found(load(1, 0.0), |at| f64::min(40.0, 10.0 + 2.5 * at)), []);
}

/// Where threads are told that rise evenly, while a block is allocated each second by functions, and freed after so long.
fn told_at(function: &'static str, lives: Option<f64>) -> (String, String) {
    let block = |second: u32| {
        let born = f64::from(second);
        Block { function, size_bytes: 1 << 20, born, freed: lives.map(|lives| born + lives), task: None }
    };
    let service = Service { blocks: (1..60).map(block).collect(), ..Service::new(load(1, 0.0)) };
    let report = report(&service, |at| 10.0 + 2.5 * at);
    let found = report.findings.iter().find(|found| found.rule == "resident-growth").expect("threads rise");
    assert_eq!(found.confidence, Confidence::Likely);
    let evidence = found.evidence.iter().map(|evidence| evidence.to_string() + "\n").collect();
    (found.subject.location(), evidence)
}

#[test]
fn threads_of_runtimes_that_stay_are_told_where_these_are_built() {
    let build = "tokio::runtime::builder::Builder::build;tokio::runtime::runtime::Runtime::new;svc::report";
    let (place, evidence) = told_at(build, None);
    assert!(place.starts_with("svc.rs:"), "{place}");
    let stays = format!("runtimes are built at {place}, and what they have stays: ");
    assert!(evidence.contains(&stays), "{evidence}");
}

#[test]
fn threads_are_of_no_runtime_that_is_dropped_and_of_no_other_memory() {
    let build = "tokio::runtime::builder::Builder::build;svc::report";
    assert_eq!(told_at(build, Some(3.0)).0, "(threads)");
    assert_eq!(told_at("svc::cache", None).0, "(threads)");
}
