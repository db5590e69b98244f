//! The rule `untracked-cpu` on threads that never rest, and on their healthy twins.

mod compared;

use compared::diff;
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Confidence, Finding, Policy, judge};
use diag_snapshot::{Micros, Snapshot, TaskId, TaskRow, TaskState, ThreadCpuRow};
use diag_test_support::scenario::{Service, Steady};

const SECOND_NS: f64 = 1e9;

/// A thread that began with the process: on a CPU, and ready without one, for such a part of the time.
#[derive(Clone, Copy)]
struct Thread {
    name: &'static str,
    on_cpu: f64,
    ready: f64,
}

const SPIN: Thread = Thread { name: "poller", on_cpu: 0.97, ready: 0.02 };
const WORKER: Thread = Thread { name: "tokio-rt-worker", on_cpu: 0.2, ready: 0.1 };

/// With a task that is inside of polls for a part of the time.
fn snapshot(at: f64, threads: &[Thread], in_polls: f64, polls_per_s: f64) -> Snapshot {
    let mut snapshot =
        Service::new(Steady { line: 7, count: 1, from: 0.0, until: 1.0, pause: 1.0 }.tasks()).at(at);
    let ns = |share: f64| (at * share * SECOND_NS) as u64;
    let row = |(tid, thread): (u32, &Thread)| ThreadCpuRow {
        tid,
        name: Some(snapshot.strings.intern(thread.name)),
        started_us: Some(0),
        cpu_ns: Some(ns(thread.on_cpu)),
        wait_ns: Some(ns(thread.ready)),
        is_recorder: thread.name == "diag-ticker",
    };
    let rows: Vec<ThreadCpuRow> = (11..).zip(threads).map(row).collect();
    let resources = &mut snapshot.capture.resources;
    resources.cpu_user_ns = Some(rows.iter().filter_map(|row| row.cpu_ns).sum());
    resources.cpu_system_ns = Some(0);
    snapshot.thread_cpu = rows.into_iter().collect();
    let task = TaskRow {
        id: TaskId(1),
        state: TaskState::Idle,
        last_poll_us: Some((at * 1e6) as u64),
        polls: (at * polls_per_s) as u64,
        busy_ns: ns(in_polls),
        thread: Some(11),
        ..TaskRow::default()
    };
    snapshot.tasks = [task].into_iter().collect();
    snapshot
}

fn of_rule(before: &Snapshot, after: &Snapshot, policy: &str) -> Vec<Finding> {
    let policy = Policy::parse(policy).expect("valid");
    let report = judge(&diff(before, after).expect("one service"), &policy);
    report.findings.into_iter().filter(|found| found.rule == "untracked-cpu").collect()
}

fn found(threads: &[Thread], in_polls: f64, polls_per_s: f64) -> Vec<Finding> {
    let at = |seconds| snapshot(seconds, threads, in_polls, polls_per_s);
    of_rule(&at(10.0), &at(40.0), "")
}

#[test]
fn a_thread_that_never_rests_is_found_by_its_name() {
    let found = found(&[WORKER, SPIN], 0.1, 100.0);
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.confidence, found.count), (Confidence::Possible, Some(1)));
    assert_eq!(found.subject.location(), "(thread poller)");
    let seconds = |seconds: f64| Micros((seconds * 1e6) as u64);
    let (ran, waited) = (seconds(29.1), seconds(0.6));
    assert_eq!(found.evidence[0], Evidence::ThreadNeverSlept { ran, waited, window: seconds(30.0) });
    assert_eq!(found.evidence[1], Evidence::AllTrackedPollsTook { busy: seconds(3.0), polls: 3_000 });
}

#[test]
fn threads_of_one_name_are_counted() {
    let found = found(&[SPIN, SPIN, WORKER], 0.1, 100.0);
    assert_eq!(found.iter().map(|found| found.count).collect::<Vec<_>>(), [Some(2)]);
}

#[test]
fn what_tracked_polls_explain_is_silent() {
    let count = |in_polls, polls_per_s| found(&[SPIN, WORKER], in_polls, polls_per_s).len();
    // Half of what the thread ran is 0.485 of the time.
    assert_eq!((count(0.48, 0.0), count(0.49, 0.0)), (1, 0));
    // 2 µs around each poll.
    assert_eq!((count(0.1, 190_000.0), count(0.1, 200_000.0)), (1, 0));
}

#[test]
fn a_thread_that_rests_now_and_then_is_silent() {
    let count = |on_cpu, ready| found(&[Thread { on_cpu, ready, ..SPIN }, WORKER], 0.1, 100.0).len();
    assert_eq!((count(0.85, 0.09), count(0.85, 0.11)), (0, 1));
    assert_eq!((count(0.29, 0.7), count(0.31, 0.68)), (0, 1), "a machine that has no CPU for it");
    let recorder = Thread { name: "diag-ticker", ..SPIN };
    assert_eq!(found(&[recorder, WORKER], 0.1, 100.0).len(), 0);
}

#[test]
fn a_poll_under_way_is_a_matter_of_others() {
    let at = |seconds| snapshot(seconds, &[SPIN, WORKER], 0.1, 100.0);
    let mut after = at(40.0);
    let polling = after.tasks.get(0).map(|task| TaskRow { state: TaskState::Polling, ..task });
    after.tasks = polling.into_iter().collect();
    assert_eq!(of_rule(&at(10.0), &after, "").len(), 0);
}

#[test]
fn a_short_burst_and_a_thread_of_another_time_are_silent() {
    let at = |seconds| snapshot(seconds, &[SPIN, WORKER], 0.1, 100.0);
    assert_eq!(of_rule(&at(12.1), &at(40.0), "").len(), 0, "27.9 s");
    assert_eq!(of_rule(&at(12.0), &at(40.0), "").len(), 1, "28 s");
    let mut before = at(10.0);
    before.capture.resources.cpu_user_ns = None;
    assert_eq!(of_rule(&before, &at(40.0), "").len(), 0, "an older file");
}

#[test]
fn the_policy_decides() {
    let at = |seconds| snapshot(seconds, &[SPIN, WORKER], 0.1, 100.0);
    for (policy, expected) in [
        ("min_awake_share = 1.0", 0),
        ("min_ran_share = 0.98", 0),
        ("min_untracked_share = 0.9", 0),
        ("min_window_s = 31", 0),
    ] {
        let policy = format!("[rules.untracked-cpu]\n{policy}");
        assert_eq!(of_rule(&at(10.0), &at(40.0), &policy).len(), expected, "{policy}");
    }
}
