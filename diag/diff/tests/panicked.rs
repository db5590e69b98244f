//! The rule `panicked` on tasks that end by a panic, and on its healthy twins.

mod compared;

use compared::diff;
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Category, Confidence, Finding, Policy, judge};
use diag_snapshot::Snapshot;
use diag_test_support::scenario::{Service, Task, in_order};

/// At one site workers, of which one ends every ten seconds from second 12 on, and so many requests a second that end at once.
fn snapshot(at: f64, workers: u32, panics: u64, requests_per_s: f64) -> Snapshot {
    let worker = |n: u32| {
        let ended = Some(12.0 + f64::from(n) * 10.0);
        Task { line: 7, spawned: 0.0, pause: 0.5, rests: None, ended }
    };
    let request = |n: u32| {
        let spawned = f64::from(n) / requests_per_s;
        Task { line: 7, spawned, pause: 1.0, rests: None, ended: Some(spawned + 0.01) }
    };
    let requests = (0..(at * requests_per_s) as u32).map(request);
    let mut snapshot = Service::new(in_order((0..workers).map(worker).chain(requests).collect())).at(at);
    let mut sites: Vec<_> = snapshot.sites.iter().collect();
    let panicked = if at > 12.0 { panics.min(sites[0].done) } else { 0 };
    (sites[0].done, sites[0].panicked) = (sites[0].done - panicked, panicked);
    snapshot.sites = sites.into_iter().collect();
    snapshot
}

fn found_by(workers: u32, panics: u64, requests_per_s: f64, policy: &str) -> Vec<Finding> {
    let at = |seconds| snapshot(seconds, workers, panics, requests_per_s);
    let diff = diff(&at(10.0), &at(40.0)).expect("one service");
    let report = judge(&diff, &Policy::parse(policy).expect("valid"));
    report.findings.into_iter().filter(|found| found.rule == "panicked").collect()
}

fn found(workers: u32, panics: u64, requests_per_s: f64) -> Option<Confidence> {
    found_by(workers, panics, requests_per_s, "").first().map(|found| found.confidence)
}

#[test]
fn workers_that_are_all_gone_are_likely() {
    let found = found_by(2, 2, 0.0, "");
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.category, found.confidence), (Category::Fault, Confidence::Likely));
    assert_eq!((found.count, found.subject.location()), (Some(2), "svc.rs:7:9".to_owned()));
    let [panicked, none_left, _] = &found.evidence[..] else { panic!("{found:?}") };
    assert_eq!(*panicked, Evidence::Panicked { tasks: 2, ended: 2 });
    assert_eq!(panicked.to_string(), "of 2 that ended since the first snapshot, 2 panicked");
    assert_eq!(*none_left, Evidence::NoneLeft);
}

#[test]
fn one_of_many_workers_is_possible_and_three_are_likely() {
    let of_ten = |panics: u64| {
        let (before, mut after) = (snapshot(10.0, 10, 0, 0.0), snapshot(40.0, 10, 0, 0.0));
        let mut sites: Vec<_> = after.sites.iter().collect();
        (sites[0].done, sites[0].panicked) = (0, panics);
        after.sites = sites.into_iter().collect();
        let report = judge(&diff(&before, &after).expect("one service"), &Policy::default());
        let found = report.findings.into_iter().find(|found| found.rule == "panicked");
        found.map(|found| found.confidence)
    };
    assert_eq!(of_ten(0), None);
    assert_eq!(
        [1, 2, 3].map(of_ten),
        [Confidence::Possible, Confidence::Possible, Confidence::Likely].map(Some)
    );
}

#[test]
fn a_request_that_panics_now_and_then_is_possible() {
    assert_eq!(found(0, 4, 10.0), Some(Confidence::Possible));
    assert_eq!(found_by(0, 4, 10.0, "")[0].counter_evidence, [Evidence::OthersEndWell]);
    assert_eq!(found(0, 400, 10.0), Some(Confidence::Likely), "all of them");
}

#[test]
fn what_ends_without_a_panic_is_silent() {
    assert_eq!((found(2, 0, 0.0), found(0, 0, 10.0)), (None, None));
}

#[test]
fn the_policy_decides() {
    for (policy, expected) in [
        ("min_panics = 300", Confidence::Likely),
        ("min_panics = 301", Confidence::Possible),
        ("min_share = 1", Confidence::Likely),
    ] {
        let found = found_by(0, 300, 10.0, &format!("[rules.panicked]\n{policy}"));
        assert_eq!(found[0].confidence, expected, "{policy}");
    }
}

/// What is found of requests that all panic, of which nobody was told of so many.
fn found_of(unobserved: impl Fn(u64) -> u64) -> Vec<Finding> {
    let at = |seconds| {
        let mut snapshot = snapshot(seconds, 0, u64::MAX, 10.0);
        let mut sites: Vec<_> = snapshot.sites.iter().collect();
        sites[0].unobserved_panics = Some(unobserved(sites[0].panicked));
        snapshot.sites = sites.into_iter().collect();
        snapshot
    };
    let report = judge(&diff(&at(10.0), &at(40.0)).expect("one service"), &Policy::default());
    report.findings.into_iter().filter(|found| found.rule == "panicked").collect()
}

#[test]
fn what_somebody_was_told_of_is_silent() {
    assert_eq!(found_of(|_| 0), []);
    let found = found_of(|panicked| panicked);
    assert_eq!((found.len(), found[0].confidence), (1, Confidence::Likely), "nobody was told");
    let [_, unobserved, ..] = &found[0].evidence[..] else { panic!("{found:?}") };
    assert_eq!(unobserved.to_string(), "of 400 panics nobody was told: no handle was awaited");
    let few = found_of(|panicked| panicked / 10);
    assert_eq!((few[0].confidence, few[0].count), (Confidence::Possible, Some(40)), "of most, somebody was");
}
