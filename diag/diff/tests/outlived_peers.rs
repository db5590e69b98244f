//! The rule `outlived-peers` on leaks that do not grow and on their healthy twins.

mod compared;
mod found;
mod labels;

use compared::diff;
use diag_analysis::await_point::Direction;
use diag_diff::report::text;
use diag_diff::rules::{advice::Advice, evidence::Evidence, wait::Wait};
use diag_diff::{Finding, Outcome, Policy, judge, judge_one};
use diag_snapshot::{
    FrameIndex, FrameRow, Micros, NameRow, ParkedRow, SiteIndex, Snapshot, StackIndex, StackRow, TaskRow,
};
use diag_test_support::labels::labelled_by_id;
use diag_test_support::scenario::{Churn, Ghosts, Service, Steady, Task, in_order};
use found::lines;
use labels::named;

const SECOND: u64 = 1_000_000;

/// Ten tasks a second that live a third of a second: usual lifetime 2.048 s, a hundredfold of which is 205 s.
fn healthy() -> Vec<Task> {
    Churn { until: 400.0, per_s: 10.0, ..Churn::default() }.tasks()
}

fn service(others: Vec<Task>) -> Service {
    Service::new(in_order([healthy(), others].concat()))
}

fn findings(others: Vec<Task>, at: f64) -> Vec<Finding> {
    judge_one(&service(others).at(at).into(), &Policy::default())
}

#[test]
fn a_leak_of_long_ago_is_found_in_one_snapshot_and_counted() {
    let found = findings(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 12.0 }.tasks(), 300.0);
    assert_eq!(lines(&found), ["leak possible outlived-peers 12"]);
    let shown = text::findings(&found);
    assert!(shown.contains("LEAK (possible): 12 tasks at svc.rs:7:9, since 2026-01-01T00:00:00Z"), "{shown}");
    assert!(shown.contains("12 tasks have done nothing for at least 4.9 min; 99 % of the "), "{shown}");
    assert_eq!(found[0].counter_evidence, [Evidence::OneSnapshot]);
}

#[test]
fn of_two_snapshots_it_says_that_the_same_tasks_did_nothing() {
    let service = service(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 12.0 }.tasks());
    let report =
        judge(&diff(&service.at(300.0), &service.at(330.0)).expect("one service"), &Policy::default());
    assert_eq!(lines(&report.findings), ["leak possible outlived-peers 12"]);
    assert_eq!((report.outcome, report.fails), (Outcome::Findings, false));
    let stayed = Evidence::CohortStayed { cohort: 12, untouched: 12, window: Micros(30 * SECOND) };
    assert_eq!(report.findings[0].evidence[1], stayed);
    assert_eq!(report.findings[0].counter_evidence, [Evidence::StaleGrew { before: 12, after: 12 }]);
}

/// What most of these tasks wait for is told, and what that needs is what the advice is about.
#[test]
fn it_says_what_those_that_were_asked_wait_for() {
    let mut snapshot = service(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 12.0 }.tasks()).at(300.0);
    let function = snapshot.strings.intern("tokio::sync::batch_semaphore::Acquire::poll");
    snapshot.stacks.frames.push(FrameRow { module: None, offset: 0 });
    snapshot.stacks.names.push(NameRow { frame: FrameIndex(0), function, file: None, line: None });
    snapshot.stacks.stacks.push(StackRow { caller: None, frame: FrameIndex(0) });
    let ids = snapshot.tasks.iter().take(3).map(|task| task.id);
    snapshot.parked = ids.map(|task| ParkedRow { task, stack: StackIndex(0) }).collect();
    let found = &judge_one(&snapshot.into(), &Policy::default())[0];
    assert_eq!(found.count, Some(12));
    assert!(matches!(&found.waiting_at, Some(Wait::All { at }) if at.starts_with("semaphore")), "{found:?}");
    assert!(matches!(found.advice, Advice::EndTheWait { needs: Some(Direction::Give), .. }), "{found:?}");
}

#[test]
fn it_says_what_they_are_for() {
    let snapshot = service(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 12.0 }.tasks()).at(300.0);
    let of_line_7 = snapshot.tasks.iter().filter(|task| task.spawned_us < SECOND);
    let first: Vec<String> = of_line_7.take(3).map(|task| task.id.0.to_string()).collect();
    let found = judge_one(&labelled_by_id(snapshot, "device").into(), &Policy::default());
    assert_eq!(named(&found[0], "device"), first);
}

/// One fault, one rule.
#[test]
fn where_they_become_more_it_is_a_task_leak() {
    let service = service(Ghosts { line: 7, from: 0.0, until: 400.0, per_s: 1.0 }.tasks());
    assert_eq!(
        lines(&judge_one(&service.at(300.0).into(), &Policy::default())),
        ["leak possible outlived-peers 95"]
    );
    let report =
        judge(&diff(&service.at(300.0), &service.at(360.0)).expect("one service"), &Policy::default());
    assert_eq!(report.findings.iter().map(|found| found.rule).collect::<Vec<_>>(), ["task-leak"]);
}

/// 20 requests a second each spawn a task that lives for a moment, until twelve of these are stuck. Then the requests
/// end, and spawn none.
#[test]
fn those_after_which_none_comes_are_likely() {
    let judged = |until: f64, parents: &[u32]| {
        let requests = Churn { line: 8, until: 90.0, per_s: 20.0, lifetime: 0.1, ..Churn::default() }.tasks();
        let short =
            Churn { line: 7, until, per_s: 20.0, lifetime: 0.01, pause: 1.0, ..Churn::default() }.tasks();
        let stuck = Ghosts { line: 7, from: 9.0, until: 10.0, per_s: 12.0 }.tasks();
        let service = Service::new(in_order([requests, short, stuck].concat()));
        let [was, is] = [20.0, 80.0].map(|at| with_parents(service.at(at), parents));
        judge(&diff(&was, &is).expect("one service"), &Policy::default())
    };
    let report = judged(10.0, &[8]);
    assert_eq!(lines(&report.findings), ["leak likely outlived-peers 12"]);
    let said: Vec<String> = report.findings[0].evidence.iter().map(ToString::to_string).collect();
    let of_parents = said.iter().find(|said| said.contains("spawned at svc.rs:8:9 had spawned"));
    assert!(
        of_parents.is_some_and(|said| said.ends_with("more came in 1 min, and spawned none")),
        "{said:?}"
    );
    assert_eq!(lines(&judged(90.0, &[8]).findings), ["leak possible outlived-peers 12"], "others come");
    assert_eq!(
        lines(&judged(10.0, &[7]).findings),
        ["leak possible outlived-peers 12"],
        "nobody comes at all"
    );
    assert_eq!(
        lines(&judged(10.0, &[8, 7]).findings),
        ["leak possible outlived-peers 12"],
        "of several parents"
    );
}

/// The tasks of line 7 were spawned by those of these lines in turn.
fn with_parents(mut snapshot: Snapshot, lines: &[u32]) -> Snapshot {
    let index_of = |line: u32| snapshot.sites.iter().position(|site| site.line == line).expect("a site");
    let of_seven = SiteIndex(index_of(7) as u32);
    let parents: Vec<SiteIndex> = lines.iter().map(|&line| SiteIndex(index_of(line) as u32)).collect();
    let tasks = snapshot.tasks.iter().enumerate().map(|(i, task)| match task.site == of_seven {
        true => TaskRow { parent_site: Some(parents[i % parents.len()]), ..task },
        false => task,
    });
    snapshot.tasks = tasks.collect();
    snapshot
}

#[test]
fn young_and_few_ones_are_silent() {
    assert_eq!(
        lines(&findings(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 12.0 }.tasks(), 200.0)),
        [""; 0],
        "idle for less than 205 s"
    );
    assert_eq!(
        lines(&findings(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 9.0 }.tasks(), 300.0)),
        [""; 0],
        "nine"
    );
}

#[test]
fn a_rhythm_of_their_own_is_silent() {
    // Polled at 0 and at 250 s, and idle for 240 s since.
    assert_eq!(
        lines(&findings(Steady { line: 7, count: 12, from: 0.0, until: 1.0, pause: 250.0 }.tasks(), 491.0)),
        [""; 0]
    );
    // Polled all the time until 250 s.
    let stopped = |task| Task { rests: Some(250.0), pause: 1.0, ..task };
    let tasks = Steady { line: 7, count: 12, from: 0.0, until: 1.0, pause: 250.0 }
        .tasks()
        .into_iter()
        .map(stopped)
        .collect();
    assert_eq!(lines(&findings(tasks, 491.0)), ["leak possible outlived-peers 12"]);
}

#[test]
fn workers_of_a_site_where_nothing_ended_are_silent() {
    assert_eq!(
        lines(&findings(Ghosts { line: 8, from: 0.0, until: 1.0, per_s: 12.0 }.tasks(), 300.0)),
        [""; 0]
    );
    let [few, enough] = [19, 20].map(|ended| {
        let short: Vec<Task> =
            healthy().into_iter().take(ended).map(|task| Task { line: 8, ..task }).collect();
        lines(&findings(
            [short, Ghosts { line: 8, from: 0.0, until: 1.0, per_s: 12.0 }.tasks()].concat(),
            300.0,
        ))
    });
    assert_eq!((few.len(), enough.len()), (0, 1), "19 and 20 that ended");
}

#[test]
fn the_policy_decides() {
    let snapshot = service(Ghosts { line: 7, from: 0.0, until: 1.0, per_s: 12.0 }.tasks()).at(300.0).into();
    for (policy, expected) in [("min_lifetimes = 200", 0), ("min_tasks = 13", 0), ("min_lifetimes = 140", 1)]
    {
        let policy = Policy::parse(&format!("[rules.outlived-peers]\n{policy}")).expect("valid");
        assert_eq!(judge_one(&snapshot, &policy).len(), expected, "{policy:?}");
    }
}
