//! The rule `lifetime-shift` on tasks that wait for a timeout, and on its healthy twins.

mod compared;

use compared::diff;
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Confidence, Finding, Policy, judge};
use diag_snapshot::Micros;
use diag_test_support::scenario::{Service, Task, in_order};

/// Ten tasks a second from one second on to another, each living so long.
fn tasks(from: f64, to: f64, lifetime: f64) -> Vec<Task> {
    let count = ((to - from) * 10.0).round() as u32;
    let spawned = (0..count).map(|i| from + f64::from(i) / 10.0);
    spawned
        .map(|at| Task { line: 7, spawned: at, pause: 1.0, rests: None, ended: Some(at + lifetime) })
        .collect()
}

fn found(tasks: Vec<Task>, policy: &str) -> Vec<Finding> {
    let service = Service::new(in_order(tasks));
    let policy = Policy::parse(policy).expect("valid");
    let report = judge(&diff(&service.at(30.0), &service.at(60.0)).expect("one service"), &policy);
    report.findings.into_iter().filter(|found| found.rule == "lifetime-shift").collect()
}

fn count(tasks: Vec<Task>) -> usize {
    found(tasks, "").len()
}

/// 15 ms, until something holds them up, and then a second.
fn shift(seconds: f64) -> Vec<Task> {
    [tasks(0.0, 29.5, 0.015), tasks(31.0, 60.0, seconds)].concat()
}

#[test]
fn tasks_that_all_take_a_second_now_are_found() {
    let found = found(shift(1.1), "");
    assert_eq!((found.len(), found[0].confidence, found[0].count), (1, Confidence::Possible, Some(280)));
    let (within, at_least) = (Micros(16_000), Micros(1_024_000));
    assert_eq!(found[0].evidence, [Evidence::LivedLonger { before: 295, within, since: 280, at_least }]);
    let said = "99 % of the 295 that ended before lived no longer than 16 ms, and 95 % of the 280 since then at least 1 s";
    assert_eq!(found[0].evidence[0].to_string(), said);
}

/// By buckets: 16 ms to 256 ms is 16 times, and 255 ms are in the bucket below.
#[test]
fn sixteen_times_as_long_is_the_border() {
    assert_eq!((count(shift(0.255)), count(shift(0.257))), (0, 1));
    assert_eq!(count(shift(0.1)), 0, "a few times as long");
    let slow = [tasks(0.0, 29.5, 0.001), tasks(31.0, 60.0, 0.2)].concat();
    assert_eq!(count(slow), 0, "a hundred times as long, and not long");
}

#[test]
fn short_and_long_ones_at_one_site_are_silent() {
    let some_long = [tasks(0.0, 60.0, 0.015), tasks(20.0, 60.0, 1.1)].concat();
    assert_eq!(count(some_long), 0, "half of them");
    let before_too = [tasks(0.0, 29.5, 0.015), tasks(28.0, 28.4, 1.1), tasks(31.0, 60.0, 1.1)].concat();
    assert_eq!(count(before_too), 0, "four of 299 before");
    let nearly_all = |short: f64| {
        [tasks(0.0, 29.5, 0.015), tasks(31.0, 60.0, 1.1), tasks(31.0, 31.0 + short, 0.015)].concat()
    };
    assert_eq!((count(nearly_all(1.4)), count(nearly_all(1.5))), (1, 0), "14 and 15 of 280");
}

#[test]
fn few_that_ended_are_silent() {
    let before = |seconds: f64| [tasks(0.0, seconds, 0.015), tasks(31.0, 60.0, 1.1)].concat();
    assert_eq!((count(before(9.9)), count(before(10.0))), (0, 1));
    let since = |seconds: f64| [tasks(0.0, 29.5, 0.015), tasks(31.0, 31.0 + seconds, 1.1)].concat();
    assert_eq!((count(since(1.9)), count(since(2.0))), (0, 1));
}

#[test]
fn the_policy_decides() {
    for (policy, expected) in [
        ("min_times = 64", 1),
        ("min_times = 64.1", 0),
        ("min_lifetime_s = 1.024", 1),
        ("min_lifetime_s = 1.025", 0),
        ("min_before = 295", 1),
        ("min_before = 296", 0),
        ("min_since = 280", 1),
        ("min_since = 281", 0),
    ] {
        assert_eq!(
            found(shift(1.1), &format!("[rules.lifetime-shift]\n{policy}")).len(),
            expected,
            "{policy}"
        );
    }
}
