//! The rule `task-leak` on sites whose tasks all end and that have more and more of them, and on load that does the same.

use diag_analysis::Analysis;
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Confidence, Finding, Policy, Series, judge_series};
use diag_snapshot::{LabelRow, Snapshot, TaskRow};
use diag_test_support::scenario::{Service, Task, in_order};

/// What is found of tasks in a minute, every five seconds.
fn found(tasks: Vec<Task>, seen: impl Fn(Snapshot) -> Snapshot) -> Vec<Finding> {
    let service = Service::new(in_order(tasks));
    let members = (1..=12).map(|i| Analysis::from(seen(service.at(5.0 * f64::from(i)))));
    let series = Series::new(members.collect()).expect("one service");
    let report = judge_series(&series, &Policy::default()).expect("one service").expect("twelve snapshots");
    report.findings.into_iter().filter(|found| found.rule == "task-leak").collect()
}

fn confidence(found: &[Finding]) -> Vec<Confidence> {
    found.iter().map(|found| found.confidence).collect()
}

fn task(spawned: f64, ended: f64) -> Task {
    Task { line: 7, spawned, pause: 0.2, rests: None, ended: Some(ended) }
}

/// Tasks of half a second, of which there are four more every second.
fn ever_more() -> Vec<Task> {
    let at_once =
        |second: u32| (0..8 * second).map(move |i| f64::from(second) + f64::from(i) / f64::from(8 * second));
    (1..61).flat_map(at_once).map(|at| task(at, at + 0.5)).collect()
}

/// All tasks but these were spawned by tasks of their own site.
fn spawned_by_own(mut snapshot: Snapshot, is_others: impl Fn(usize) -> bool) -> Snapshot {
    let rows = (0..).zip(snapshot.tasks.iter());
    let rows = rows.map(|(i, row)| TaskRow { parent_site: (!is_others(i)).then_some(row.site), ..row });
    snapshot.tasks = rows.collect();
    snapshot
}

#[test]
fn tasks_that_spawn_ever_more_of_themselves_are_likely() {
    let found = found(ever_more(), |snapshot| spawned_by_own(snapshot, |i| i < 10));
    assert_eq!(confidence(&found), [Confidence::Likely], "{found:#?}");
    assert!(found[0].evidence.iter().any(|fact| matches!(fact, Evidence::SpawnedByOwn { .. })), "{found:#?}");
}

/// What they are for is told, as of tasks that rest.
#[test]
fn a_crowd_names_its_labels() {
    let labelled = |mut snapshot: Snapshot| {
        let [tenant, acme] = ["tenant", "acme"].map(|name| snapshot.strings.intern(name));
        let label = |task: TaskRow| LabelRow { task: task.id, key: tenant, value: acme };
        snapshot.labels = snapshot.tasks.iter().map(label).collect();
        snapshot
    };
    let is_labelled = |fact: &&Evidence| matches!(fact, Evidence::Labelled { .. });
    let found_with = |seen: fn(Snapshot) -> Snapshot| {
        let found = found(ever_more(), seen);
        found[0].evidence.iter().filter(is_labelled).cloned().collect::<Vec<_>>()
    };
    let (key, values) = ("tenant".to_owned(), vec!["acme".to_owned()]);
    assert_eq!(found_with(labelled), [Evidence::Labelled { key, values, others: 0 }]);
    assert_eq!(found_with(|snapshot| snapshot), [], "without labels nothing is said of them");
}

#[test]
fn more_load_is_possible() {
    assert_eq!(
        confidence(&found(ever_more(), |snapshot| snapshot)),
        [Confidence::Possible],
        "spawned by others"
    );
    let tries = found(ever_more(), |snapshot| spawned_by_own(snapshot, |i| i % 10 == 0));
    assert_eq!(confidence(&tries), [Confidence::Possible], "nine tries for each that another spawns");
}

/// Twenty come each second, and so many are served, one after the other.
fn queue(served_per_s: f64) -> Vec<Task> {
    let mut free = 0.0;
    let serve = |i: u32| {
        let spawned = f64::from(i) / 20.0;
        free = f64::max(free, spawned) + 1.0 / served_per_s;
        task(spawned, free)
    };
    (0..1_300).map(serve).collect()
}

#[test]
fn tasks_that_are_served_ever_later_are_likely() {
    let found = found(queue(13.0), |snapshot| snapshot);
    assert_eq!(confidence(&found), [Confidence::Likely], "{found:#?}");
    assert!(found[0].evidence.iter().any(|fact| matches!(fact, Evidence::TakeLonger { .. })), "{found:#?}");
    assert!(found[0].counter_evidence.is_empty(), "{found:#?}");
}

#[test]
fn tasks_that_are_served_as_they_come_are_silent() {
    assert!(confidence(&found(queue(25.0), |snapshot| snapshot)).is_empty());
}
