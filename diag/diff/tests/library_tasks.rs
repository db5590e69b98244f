//! The rule `task-leak` on tasks that libraries spawn: their polls are not known, so only births, ages and ends tell.

use diag_analysis::Analysis;
use diag_diff::{Policy, Report, Series, judge_series};
use diag_snapshot::{SiteKind, SiteRow, Snapshot, TaskRow, TaskState};
use diag_test_support::call_stack::call_stack;
use diag_test_support::scenario::{Churn, Service, Steady, Task, in_order};

/// What is said of a service in a minute, every five seconds, whose sites are a library's. It uses so much of a CPU.
fn report(tasks: Vec<Task>, cpu: impl Fn(f64) -> f64) -> Report {
    report_of(tasks, cpu, |snapshot| snapshot)
}

fn report_of(tasks: Vec<Task>, cpu: impl Fn(f64) -> f64, seen: impl Fn(Snapshot) -> Snapshot) -> Report {
    let service = Service::new(in_order(tasks));
    let members = (1..=12).map(|i| {
        let seconds = 5.0 * f64::from(i);
        let mut snapshot = of_library(service.at(seconds));
        snapshot.capture.resources.cpu_user_ns = Some((cpu(seconds) * 1e9) as u64);
        snapshot.capture.resources.cpu_system_ns = Some(0);
        Analysis::from(seen(snapshot))
    });
    let series = Series::new(members.collect()).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("twelve snapshots")
}

/// The same with nothing of what only the recorder sees.
fn of_library(mut snapshot: Snapshot) -> Snapshot {
    let site = |site: SiteRow| SiteRow {
        kind: Some(SiteKind::Library),
        freed: Some(site.ended()),
        done: 0,
        cancelled: 0,
        panicked: 0,
        never_polled: 0,
        ..site
    };
    snapshot.sites = snapshot.sites.iter().map(site).collect();
    let task = |task: TaskRow| TaskRow { state: TaskState::Idle, last_poll_us: None, polls: 0, ..task };
    snapshot.tasks = snapshot.tasks.iter().map(task).collect();
    snapshot
}

fn connections() -> Vec<Task> {
    Steady { line: 7, count: 240, from: 0.0, until: 60.0, pause: 0.5 }.tasks()
}

fn check(report: &Report, expected: &[&str]) {
    let found: Vec<String> = (report.findings.iter())
        .map(|found| format!("{} {} {}", found.confidence.as_str(), found.rule, found.count.unwrap_or(0)))
        .collect();
    assert_eq!(found, expected, "{report:#?}");
}

#[test]
fn those_that_come_all_the_time_and_never_end_are_likely_if_there_is_no_more_work() {
    let report = report(connections(), |seconds| 0.01 * seconds);
    check(&report, &["likely task-leak 240"]);
    let found = &report.findings[0];
    let said = |part: &str| found.evidence.iter().any(|fact| fact.to_string().contains(part));
    assert!(said("there is no more work") && said("spawned without `diag::spawn`"), "{found:#?}");
    assert!(!said("polled"), "nobody has seen a poll: {found:#?}");
    assert!(found.advice.to_string().contains("idle timeout"), "{found:#?}");
}

#[test]
fn the_advice_is_for_whose_future_it_is() {
    let advice = |future: &str| {
        let report = report_of(connections(), |seconds| 0.01 * seconds, |snapshot| named(snapshot, future));
        report.findings[0].advice.to_string()
    };
    assert!(advice("hyper::Connection").contains("share one"));
    assert!(advice("svc::fetch").contains("end the future"));
}

/// The same with a stack that names the future.
fn named(mut snapshot: Snapshot, future: &str) -> Snapshot {
    let function = format!("tokio::runtime::task::core::Cell<T,S>::new<{future}, alloc::sync::Arc<u8>>");
    let file = "/r/registry/src/i/tokio-1.54.1/src/runtime/task/core.rs";
    let stack = Some(call_stack(&mut snapshot, [(function.as_str(), Some((file, 9)))]));
    snapshot.sites = snapshot.sites.iter().map(|site| SiteRow { stack, ..site }).collect();
    snapshot
}

/// As a service has it whose clients come one after the other.
#[test]
fn those_that_work_are_possible() {
    check(&report(connections(), |seconds| 0.001 * seconds * seconds), &["possible task-leak 240"]);
}

#[test]
fn those_that_end_are_no_finding() {
    check(&report(Churn { line: 7, until: 61.0, ..Churn::default() }.tasks(), |seconds| 0.01 * seconds), &[]);
}

/// A connection has two, and neither ends: that is no load for each other.
#[test]
fn two_of_each_connection_are_found_both() {
    let others = Steady { line: 9, count: 240, from: 0.0, until: 60.0, pause: 0.5 }.tasks();
    let report = report([connections(), others].concat(), |seconds| 0.01 * seconds);
    // Without a stack, their two places are one.
    check(&report, &["likely task-leak 480"]);
}

#[test]
fn it_is_not_said_that_they_rest() {
    let report = report(connections(), |seconds| 0.01 * seconds);
    let site = &report.sites[0];
    assert_eq!((site.stale.after, site.idle_ns, site.kind), (0, None, "library task"));
    assert_eq!(site.meanwhile().map(|[spawned, done, ..]| (spawned, done)), Some(("219".into(), "?".into())));
}
