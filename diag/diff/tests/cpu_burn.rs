//! The rule `cpu-burn` on tasks that never rest, on machines with and without a CPU to give.

mod compared;
mod labels;

use compared::diff;
use diag_diff::{Confidence, Policy, judge};
use diag_snapshot::{Snapshot, ThreadCpuRow};
use diag_test_support::labels::labelled_by_id;
use diag_test_support::scenario::{Service, Steady};
use labels::named;

/// What happens each second: polls of the only task, how much of the time they take, how long its worker runs, and how long it
/// is ready to and gets no CPU.
#[derive(Clone, Copy)]
struct Second {
    polls: f64,
    busy: f64,
    runs: f64,
    ready: f64,
}

/// It is polled all the time, and gets the CPU for it.
const SPINS: Second = Second { polls: 12_000.0, busy: 0.9, runs: 0.9, ready: 0.01 };

fn snapshot(at: f64, second: Second) -> Snapshot {
    let mut snapshot =
        Service::new(Steady { line: 7, count: 1, from: 0.0, until: 1.0, pause: 1.0 }.tasks()).at(at);
    let sum = |each_second: f64| (at * each_second) as u64;
    let mut tasks: Vec<_> = snapshot.tasks.iter().collect();
    (tasks[0].polls, tasks[0].busy_ns) = (sum(second.polls), sum(second.busy * 1e9));
    snapshot.tasks = tasks.into_iter().collect();
    let row = ThreadCpuRow {
        tid: 11,
        started_us: Some(0),
        cpu_ns: Some(sum(second.runs * 1e9)),
        wait_ns: Some(sum(second.ready * 1e9)),
        ..ThreadCpuRow::default()
    };
    snapshot.capture.resources.cpu_user_ns = row.cpu_ns;
    snapshot.capture.resources.cpu_system_ns = Some(0);
    snapshot.thread_cpu = [row].into_iter().collect();
    snapshot
}

fn found(second: Second) -> Option<Confidence> {
    let diff = diff(&snapshot(10.0, second), &snapshot(40.0, second)).expect("one service");
    let report = judge(&diff, &Policy::default());
    report.findings.iter().find(|found| found.rule == "cpu-burn").map(|found| found.confidence)
}

#[test]
fn a_task_that_never_rests_is_likely() {
    assert_eq!(found(SPINS), Some(Confidence::Likely));
    assert_eq!(found(Second { polls: 9_800.0, ..SPINS }), Some(Confidence::Possible), "few polls");
    assert_eq!(found(Second { polls: 9_800.0, busy: 0.3, ..SPINS }), None);
}

#[test]
fn it_says_what_the_task_is_for() {
    let [was, is] = [10.0, 40.0].map(|at| labelled_by_id(snapshot(at, SPINS), "device"));
    let report = judge(&diff(&was, &is).expect("one service"), &Policy::default());
    let found = report.findings.iter().find(|found| found.rule == "cpu-burn").expect("it burns");
    assert_eq!(named(found, "device"), ["1"]);
}

/// On half a CPU it is polled half as often.
#[test]
fn polls_are_counted_by_the_time_that_the_process_got() {
    let on_half = Second { polls: 6_000.0, busy: 0.9, runs: 0.45, ready: 0.45 };
    assert_eq!(found(on_half), Some(Confidence::Likely));
    assert_eq!(
        found(Second { ready: 0.01, ..on_half }),
        Some(Confidence::Possible),
        "it got all that it wanted"
    );
    let starved = Second { polls: 2_400.0, busy: 0.9, runs: 0.01, ready: 0.9 };
    assert_eq!(found(starved), Some(Confidence::Possible), "four times as many at most");
    assert_eq!(found(Second { busy: 0.1, ..starved }), None, "a quiet one on a machine at work");
}
