//! The rule `resident-growth` on threads that become more, and on a pool that grows with its load.

use diag_analysis::Analysis;
use diag_diff::{Confidence, Policy, Series, judge_series};
use diag_test_support::scenario::{Churn, Service, Task, in_order};

/// How sure it is of threads over a minute.
fn found(tasks: Vec<Task>, threads: impl Fn(f64) -> f64) -> Vec<Confidence> {
    let service = Service::new(in_order(tasks));
    let members = (1..=12).map(|i| {
        let at = 5.0 * f64::from(i);
        let mut snapshot = service.at(at);
        snapshot.capture.resources.threads = Some(threads(at) as u64);
        Analysis::from(snapshot)
    });
    let series = Series::new(members.collect()).expect("one service");
    let report = judge_series(&series, &Policy::default()).expect("one service").expect("twelve snapshots");
    let of_threads = |place: &str| place == "(threads)";
    report
        .findings
        .iter()
        .filter(|found| of_threads(&found.subject.location()))
        .map(|found| found.confidence)
        .collect()
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
