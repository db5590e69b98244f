//! The rule `allocation-churn` on memory that is made anew all the time, and on its healthy twins.

use diag_analysis::Analysis;
use diag_diff::{Confidence, Finding, Policy, judge};
use diag_snapshot::{Snapshot, StackTotalsRow};
use diag_test_support::scenario::{Block, Service};

const GIB: u64 = 1 << 30;

/// What a function allocated and freed between two snapshots, GiB.
struct Churn {
    function: &'static str,
    allocated: u64,
    kept: u64,
}

fn churn(function: &'static str, allocated: u64) -> Churn {
    Churn { function, allocated, kept: 0 }
}

/// A snapshot of a service that has allocated so much up to now, and has run for so long.
fn snapshot(at: f64, churns: &[Churn], part: u64, ran_s: f64) -> Snapshot {
    let block = |churn: &Churn| Block {
        function: churn.function,
        size_bytes: 8 << 20,
        born: 0.0,
        freed: None,
        task: None,
    };
    let service = Service { blocks: churns.iter().map(block).collect(), ..Service::new(Vec::new()) };
    let mut snapshot = service.at(at);
    let heap = snapshot.heap.as_mut().expect("it is sampled");
    let rows = heap.stack_totals.iter().zip(churns);
    let rows = rows.map(|(row, churn)| StackTotalsRow {
        allocated_bytes: row.allocated_bytes + churn.allocated * GIB * part,
        freed_bytes: row.freed_bytes + (churn.allocated - churn.kept) * GIB * part,
        ..row
    });
    heap.stack_totals = rows.collect();
    (snapshot.capture.resources.cpu_user_ns, snapshot.capture.resources.cpu_system_ns) =
        (Some((ran_s * 1e9) as u64), Some(0));
    snapshot
}

fn found_in(seconds: f64, churns: &[Churn], ran_s: f64, policy: &str) -> Vec<Finding> {
    let at = |at, part, ran_s| Analysis::from(snapshot(at, churns, part, ran_s));
    let diff = diag_diff::diff(&at(10.0, 0, 1.0), &at(10.0 + seconds, 1, 1.0 + ran_s)).expect("one service");
    let report = judge(&diff, &Policy::parse(policy).expect("valid"));
    report.findings.into_iter().filter(|found| found.rule == "allocation-churn").collect()
}

/// In ten seconds.
fn count(churns: &[Churn], ran_s: f64) -> usize {
    found_in(10.0, churns, ran_s, "").len()
}

#[test]
fn memory_that_is_made_anew_all_the_time_is_found() {
    let found = found_in(10.0, &[churn("svc::render", 20), churn("svc::other", 1)], 6.0, "");
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.category.as_str(), found.confidence), ("runaway", Confidence::Possible));
    assert_eq!(found.subject.name().as_deref(), Some("svc::render"));
    let said: Vec<String> = found.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "20 GiB were allocated there in between and 20 GiB freed",
            "that is 2 GiB a second, and 3.3 GiB for each second that the process ran on a CPU",
        ]
    );
}

#[test]
fn the_limits_are_exact() {
    assert_eq!(
        (count(&[churn("svc::render", 20)], 10.0), count(&[churn("svc::render", 20)], 10.1)),
        (1, 0),
        "2 GiB a CPU-second"
    );
    assert_eq!(
        (count(&[churn("svc::render", 5)], 1.0), count(&[churn("svc::render", 4)], 1.0)),
        (1, 0),
        "512 MiB a second"
    );
    let beside = |other| count(&[churn("svc::render", 20), churn("svc::other", other)], 5.0);
    assert_eq!((beside(19), beside(21)), (1, 1), "the larger of two");
    let among =
        |other| count(&[churn("svc::render", 20), churn("svc::other", 11), churn("svc::third", other)], 5.0);
    assert_eq!((among(9), among(10)), (1, 0), "half of all");
    let kept = |kept| count(&[Churn { kept, ..churn("svc::render", 200) }], 50.0);
    assert_eq!((kept(2), kept(3)), (1, 0), "one in a hundred is kept");
    assert_eq!(found_in(9.9, &[churn("svc::render", 20)], 5.0, "").len(), 0, "a moment");
}

#[test]
fn an_older_file_says_nothing() {
    let at = |at, part| {
        let mut snapshot = snapshot(at, &[churn("svc::render", 20)], part, 1.0);
        snapshot.capture.resources.cpu_user_ns = None;
        Analysis::from(snapshot)
    };
    let diff = diag_diff::diff(&at(10.0, 0), &at(20.0, 1)).expect("one service");
    assert!(judge(&diff, &Policy::default()).findings.is_empty());
}

#[test]
fn the_policy_decides() {
    for (policy, expected) in [
        ("min_bytes_per_s = 2147483648", 1),
        ("min_bytes_per_s = 2147500000", 0),
        ("min_bytes_per_cpu_s = 4294967296", 1),
        ("min_bytes_per_cpu_s = 4294983000", 0),
        ("min_window_s = 10.1", 0),
        ("min_share = 1", 1),
    ] {
        let policy = format!("[rules.allocation-churn]\n{policy}");
        let found = found_in(10.0, &[churn("svc::render", 20)], 5.0, &policy);
        assert_eq!(found.len(), expected, "{policy}");
    }
}
