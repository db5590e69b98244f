//! The rule `slow-polls` on polls that keep a worker for long, and on their healthy twins.

mod compared;

use compared::diff;
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Category, Confidence, Finding, Policy, judge};
use diag_snapshot::{Micros, PollDelayRow, PollTimeRow, SiteIndex, SiteKind, Snapshot, ThreadCpuRow};
use diag_test_support::scenario::{Service, Steady};

/// What happens each second: polls of 260 ms, woken tasks that wait as long, and what the only worker does, milliseconds.
#[derive(Clone, Copy)]
struct Second {
    slow_polls: f64,
    delays: f64,
    runs_ms: f64,
    ready_ms: f64,
    kind: SiteKind,
}

/// Half of the time goes into polls that compute.
const COMPUTES: Second =
    Second { slow_polls: 2.0, delays: 3.0, runs_ms: 500.0, ready_ms: 5.0, kind: SiteKind::Task };

fn snapshot(at: f64, second: Second) -> Snapshot {
    let mut snapshot =
        Service::new(Steady { line: 7, count: 1, from: 0.0, until: 1.0, pause: 1.0 }.tasks()).at(at);
    let times = |each_second: f64| (at * each_second) as u64;
    let site = SiteIndex(0);
    // 2^18 µs are 262 ms.
    snapshot.poll_times = [(3, times(200.0)), (18, times(second.slow_polls))]
        .into_iter()
        .map(|(bucket, count)| PollTimeRow { site, bucket, count })
        .collect();
    snapshot.poll_delays =
        [PollDelayRow { site, bucket: 8, count: times(second.delays) }].into_iter().collect();
    let mut sites: Vec<_> = snapshot.sites.iter().collect();
    sites[0].kind = Some(second.kind);
    sites[0].busy_ns = times(second.slow_polls * 262e6);
    snapshot.sites = sites.into_iter().collect();
    let row = ThreadCpuRow {
        tid: 11,
        started_us: Some(0),
        cpu_ns: Some(times(second.runs_ms * 1e6)),
        wait_ns: Some(times(second.ready_ms * 1e6)),
        ..ThreadCpuRow::default()
    };
    snapshot.capture.resources.cpu_user_ns = row.cpu_ns;
    snapshot.capture.resources.cpu_system_ns = Some(0);
    snapshot.thread_cpu = [row].into_iter().collect();
    snapshot
}

fn found_by(second: Second, policy: &str) -> Vec<Finding> {
    let policy = Policy::parse(policy).expect("valid");
    let diff = diff(&snapshot(10.0, second), &snapshot(40.0, second)).expect("one service");
    let report = judge(&diff, &policy);
    report.findings.into_iter().filter(|found| found.rule == "slow-polls").collect()
}

fn found(second: Second) -> Option<(Category, Confidence)> {
    found_by(second, "").first().map(|found| (found.category, found.confidence))
}

#[test]
fn polls_that_compute_while_others_wait_are_likely() {
    let found = found_by(COMPUTES, "");
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.category, found.confidence), (Category::Runaway, Confidence::Likely));
    assert_eq!((found.count, found.subject.location()), (Some(60), "svc.rs:7:9".to_owned()));
    let (least, together, window) = (Micros(100_000), Micros(60 * 256_000), Micros(30_000_000));
    let slow = Evidence::SlowPolls { polls: 60, least, together, window };
    assert_eq!(found.evidence, [slow, Evidence::WokenTasksWaited { times: 90, least }]);
    assert_eq!(found.counter_evidence, []);
    let said: Vec<String> = found.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "60 polls took 100 ms or longer, together at least 15 s of 30 s",
            "woken tasks waited for their poll for 100 ms or longer 90 times"
        ]
    );
}

#[test]
fn polls_that_sleep_are_stuck() {
    assert_eq!(found(Second { runs_ms: 20.0, ..COMPUTES }), Some((Category::Stuck, Confidence::Likely)));
}

#[test]
fn where_nobody_waits_it_is_possible() {
    assert_eq!(found(Second { delays: 0.1, ..COMPUTES }), Some((Category::Runaway, Confidence::Possible)));
}

#[test]
fn a_machine_without_a_cpu_to_give_is_to_blame() {
    assert_eq!(found(Second { ready_ms: 300.0, ..COMPUTES }), None);
}

#[test]
fn what_is_there_to_block_is_silent() {
    for kind in [SiteKind::Blocking, SiteKind::Future] {
        assert_eq!(found(Second { kind, ..COMPUTES }), None, "{kind:?}");
    }
    assert!(found(Second { kind: SiteKind::Local, ..COMPUTES }).is_some());
}

/// Four of thirty seconds are few, five are found; two in a hundred of the time are.
#[test]
fn a_few_slow_polls_are_silent() {
    let (four, five) = (4.0 / 30.0, 5.0 / 30.0);
    assert_eq!(found(Second { slow_polls: four, ..COMPUTES }), None);
    assert!(found(Second { slow_polls: five, ..COMPUTES }).is_some());
}

#[test]
fn the_policy_decides() {
    for (policy, expected) in [
        ("min_polls = 60", 1),
        ("min_polls = 61", 0),
        ("min_poll_s = 0.256", 1),
        ("min_poll_s = 0.257", 0),
        ("min_share = 0.51", 1),
        ("min_share = 0.52", 0),
    ] {
        let policy = format!("[rules.slow-polls]\n{policy}");
        assert_eq!(found_by(COMPUTES, &policy).len(), expected, "{policy}");
    }
}
