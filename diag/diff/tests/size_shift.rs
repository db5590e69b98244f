//! `size-shift`: two processes are compared by their sizes, at the same uptime and load.

use diag_diff::rules::evidence::Evidence;
use diag_diff::rules::finding::Confidence;
use diag_diff::rules::reason::Reason;
use diag_diff::{Outcome, Policy, Report, Series, diff, judge, judge_series};
use diag_test_support::scenario::{Block, Churn, Service, Steady, Task, in_order};

/// Requests that come and end, as many a second as this.
fn requests(per_s: f64) -> Vec<Task> {
    Churn { seed: 3, line: 7, until: 300.0, per_s, lifetime: 0.2, pause: 0.1, ..Churn::default() }.tasks()
}

/// Requests, connections that stay, and an index in blocks of 64 KiB.
fn service(per_s: f64, connections: u32, index_blocks: usize) -> Service {
    let stay = Steady { line: 9, count: connections, from: 0.0, until: 60.0, pause: 0.5 }.tasks();
    let block = |place: usize| Block {
        function: "svc::Index::add",
        size_bytes: 64 << 10,
        born: place as f64 * 60.0 / index_blocks as f64,
        freed: None,
        task: None,
    };
    Service {
        blocks: (0..index_blocks).map(block).collect(),
        ..Service::new(in_order([requests(per_s), stay].concat()))
    }
}

/// What is said of the second process `after` seconds after its start, beside the first after so many.
fn judged(first: &Service, before: f64, second: &Service, after: f64) -> Report {
    let second = Service { instance: 2, ..second.clone() };
    judge(&diff(&first.at(before).into(), &second.at(after).into()).expect("one service"), &Policy::default())
}

fn found(report: &Report) -> Vec<(&'static str, Confidence, String)> {
    let each = report.findings.iter();
    each.map(|found| (found.rule, found.confidence, found.subject.name().unwrap_or_default())).collect()
}

#[test]
fn many_times_as_many_tasks_and_bytes_are_found() {
    let report = judged(&service(10.0, 20, 200), 100.0, &service(10.0, 100, 1_000), 100.0);
    let names: Vec<(&str, Confidence, String)> = found(&report);
    assert_eq!(
        names,
        [
            ("size-shift", Confidence::Possible, "svc::task_9".to_owned()),
            ("size-shift", Confidence::Possible, "svc::Index::add".to_owned()),
        ],
        "{report:#?}"
    );
    let words: Vec<String> = report.findings[0].evidence.iter().map(ToString::to_string).collect();
    assert!(words[0].starts_with("100 tasks are alive there, and 20 in the first process"), "{words:?}");
}

#[test]
fn alike_processes_are_clean() {
    let report = judged(&service(10.0, 20, 200), 100.0, &service(10.0, 25, 250), 110.0);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
}

#[test]
fn a_cache_that_differs_by_half_is_clean() {
    let report = judged(&service(10.0, 20, 200), 100.0, &service(10.0, 30, 300), 100.0);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
}

#[test]
fn another_uptime_is_too_little() {
    let report = judged(&service(10.0, 20, 200), 50.0, &service(10.0, 100, 1_000), 100.0);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::InsufficientData));
    assert!(matches!(report.reasons[..], [Reason::UptimesDiffer { .. }]), "{:?}", report.reasons);
}

#[test]
fn another_load_is_too_little() {
    let report = judged(&service(10.0, 20, 200), 100.0, &service(30.0, 100, 1_000), 100.0);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::InsufficientData));
    assert!(matches!(report.reasons[..], [Reason::LoadsDiffer { .. }]), "{:?}", report.reasons);
}

#[test]
fn a_load_that_is_not_known_speaks_against_it() {
    let idle = |connections, blocks| service(0.01, connections, blocks);
    let report = judged(&idle(20, 200), 100.0, &idle(100, 1_000), 100.0);
    assert_eq!(found(&report).len(), 2, "{report:#?}");
    assert!(report.findings.iter().all(|found| found.counter_evidence.contains(&Evidence::LoadNotKnown)));
}

/// They ran side by side: which was looked at first says nothing.
#[test]
fn the_order_of_time_does_not_matter() {
    let (mut before, mut after) = (service(10.0, 100, 1_000).at(100.0), service(10.0, 20, 200).at(100.0));
    after.process.instance = 2;
    before.process.started_unix_us += 1_000_000;
    let report = judge(&diff(&after.into(), &before.into()).expect("one service"), &Policy::default());
    assert_eq!(found(&report).len(), 2, "{report:#?}");
}

/// One cause is told once: with the tasks whose memory it is.
#[test]
fn memory_of_more_tasks_is_told_with_them() {
    let with_buffers = |connections: u32| {
        let mut service = service(10.0, connections, 1);
        let of_stay = service.tasks.iter().enumerate().filter(|(_, task)| task.line == 9);
        service.blocks = of_stay
            .map(|(place, task)| Block {
                function: "svc::connection",
                size_bytes: 1 << 20,
                born: task.spawned,
                freed: None,
                task: Some(place),
            })
            .collect();
        service
    };
    let report = judged(&with_buffers(20), 100.0, &with_buffers(100), 100.0);
    assert_eq!(
        found(&report),
        [("size-shift", Confidence::Possible, "svc::task_9".to_owned())],
        "{report:#?}"
    );
    assert!(report.findings[0].bytes.is_some());
}

/// What never ends in the second is no smaller load: its tasks are spawned as before.
#[test]
fn a_leak_does_not_hide_behind_the_tasks_that_it_keeps() {
    let ends = service(10.0, 20, 200);
    let mut kept = ends.clone();
    kept.tasks.iter_mut().filter(|task| task.line == 7).for_each(|task| task.ended = None);
    let report = judged(&ends, 100.0, &kept, 100.0);
    assert_eq!(
        found(&report),
        [("size-shift", Confidence::Possible, "svc::task_7".to_owned())],
        "{report:#?}"
    );
}

/// The same blocks by a function that has another name now, and more of them.
fn renamed(blocks: usize) -> Service {
    let mut service = service(10.0, 20, blocks);
    service.blocks.iter_mut().for_each(|block| block.function = "svc::Index::insert");
    service
}

#[test]
fn a_function_that_was_renamed_is_no_new_one() {
    let report = judged(&service(10.0, 20, 200), 100.0, &renamed(220), 100.0);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
    let report = judged(&service(10.0, 20, 200), 100.0, &renamed(1_000), 100.0);
    assert_eq!(found(&report).len(), 1, "four times as much is more, whatever its name: {report:#?}");
}

/// Two builds at once, each with a snapshot every ten seconds: the one that is asked about is judged by its own series, and its newest
/// snapshot beside that of the other.
#[test]
fn of_two_series_the_second_is_judged_beside_the_first() {
    let (base, more) = (service(10.0, 20, 200), Service { instance: 2, ..service(10.0, 100, 200) });
    let moments = [70.0, 80.0, 90.0, 100.0];
    let of = |service: &Service| moments.map(|at| diag_analysis::Analysis::from(service.at(at)));
    let judged = |first: &Service, second: &Service| {
        let members = of(first).into_iter().chain(of(second)).collect();
        let series = Series::as_given(members).expect("one service");
        judge_series(&series, &Policy::default()).expect("one service").expect("several snapshots")
    };
    let report = judged(&base, &more);
    assert!(report.same_process, "both ends are of the second");
    assert_eq!(
        found(&report),
        [("size-shift", Confidence::Possible, "svc::task_9".to_owned())],
        "{report:#?}"
    );
    let report = judged(&more, &base);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
}
