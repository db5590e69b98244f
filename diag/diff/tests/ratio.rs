//! The rule `ratio` on tasks that are left behind, and on its healthy twins, with its borders.

use diag_analysis::Analysis;
use diag_diff::{Finding, Policy, Report, Series, judge_series};
use diag_snapshot::{ExpectedRatio, Gauge, SiteIndex, Snapshot, TaskId, TaskRow};
use diag_test_support::scenario::{Churn, Service};

/// So many tasks of a site at so many devices.
fn snapshot(at: f64, tasks: u64, devices: i64) -> Snapshot {
    // Tasks of the site come and go, so nothing else is to be told of them.
    let mut snapshot = Service::new(
        Churn { line: 9, until: 300.0, per_s: 1.0, lifetime: 0.3, pause: 0.1, ..Churn::default() }.tasks(),
    )
    .at(at);
    snapshot.tasks = Default::default();
    let id = |i: u64| TaskId((at as u64 + 1) * 1_000_000 + i);
    let row = |i| TaskRow {
        id: id(i),
        site: SiteIndex(0),
        spawned_us: (at * 1e6) as u64 - 1,
        last_poll_us: Some((at * 1e6) as u64),
        polls: 1,
        ..TaskRow::default()
    };
    (0..tasks).for_each(|i| snapshot.tasks.push(row(i)));
    snapshot.capture.runtimes.iter_mut().for_each(|runtime| runtime.alive_tasks = Some(tasks));
    snapshot.capture.gauges = vec![Gauge { name: "devices".to_owned(), value: devices }];
    snapshot
}

/// Every ten seconds.
fn judged(counts: &[(u64, i64)], policy: &str) -> Report {
    let members = counts.iter().enumerate();
    let members = members
        .map(|(i, &(tasks, devices))| Analysis::from(snapshot(100.0 + 10.0 * i as f64, tasks, devices)));
    let series = Series::new(members.collect()).expect("one service");
    let policy = Policy::parse(policy).expect("valid");
    judge_series(&series, &policy).expect("one service").expect("enough of them")
}

fn of_rule(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|found| found.rule == "ratio").collect()
}

fn lines(counts: &[(u64, i64)], policy: &str) -> Vec<String> {
    let report = judged(counts, policy);
    let line = |found: &&Finding| {
        let (category, confidence) = (found.category.as_str(), found.confidence.as_str());
        format!("{category} {confidence} {} {}", found.subject.location(), found.count.unwrap_or(0))
    };
    of_rule(&report).iter().map(line).collect()
}

const EXPECTED: &str = "[[ratio]]\ngauge = 'devices'\nexpected = 2.0\nsite = 'svc.rs:9'";
const EXPECTED_OF_ALL: &str = "[[ratio]]\ngauge = 'devices'\nexpected = 2.0";

#[test]
fn the_border_of_a_policy_is_exact() {
    for (tasks, expected) in [
        (2_300, &[][..]),
        (2_301, &["leak possible svc.rs:9:9 2301"]),
        (1_700, &[]),
        (1_699, &["fault possible svc.rs:9:9 1699"]),
    ] {
        assert_eq!(lines(&[(2_000, 1_000), (tasks, 1_000)], EXPECTED), expected, "{tasks}");
    }
    assert_eq!(lines(&[(20, 10), (29, 10)], EXPECTED), [""; 0], "nine more");
    assert_eq!(lines(&[(20, 10), (30, 10)], EXPECTED).len(), 1, "ten more");
    let narrow = format!("{EXPECTED}\n[rules.ratio]\nmax_off_percent = 15.1");
    assert_eq!(lines(&[(2_000, 1_000), (2_302, 1_000)], &narrow), [""; 0]);
    assert_eq!(lines(&[(2_000, 1_000), (2_303, 1_000)], &narrow).len(), 1);
}

#[test]
fn what_stays_off_in_the_last_third_of_a_series_is_likely() {
    let steady = [(2_000, 1_000); 5];
    let with = |last: [(u64, i64); 4]| lines(&[&steady[..], &last].concat(), EXPECTED);
    assert_eq!(with([(2_400, 1_000); 4]), ["leak likely svc.rs:9:9 2400"]);
    assert_eq!(
        with([(2_400, 1_000), (2_400, 1_000), (2_300, 1_000), (2_400, 1_000)]),
        ["leak possible svc.rs:9:9 2400"]
    );
    assert_eq!(with([(2_400, 1_000), (2_400, 1_000), (2_400, 1_000), (2_300, 1_000)]), [""; 0]);
    assert_eq!(with([(1_600, 1_000); 4]), ["fault likely svc.rs:9:9 1600"]);
}

#[test]
fn all_tasks_can_be_meant() {
    assert_eq!(lines(&[(2_000, 1_000), (2_301, 1_000)], EXPECTED_OF_ALL), ["leak possible (all tasks) 2301"]);
    assert_eq!(lines(&[(2_000, 1_000), (2_300, 1_000)], EXPECTED_OF_ALL), [""; 0]);
    assert_eq!(
        lines(&[(0, 0), (30, 0)], EXPECTED_OF_ALL),
        ["leak possible (all tasks) 30"],
        "all are offline"
    );
    let of_another = "[[ratio]]\ngauge = 'sessions'\nexpected = 2.0";
    assert_eq!(lines(&[(2_000, 1_000), (9_000, 1_000)], of_another), [""; 0], "it is not published");
}

#[test]
fn it_is_said_how_far_off() {
    let report = judged(&[(2_000, 1_000), (2_310, 1_000)], EXPECTED);
    let said = of_rule(&report)[0].evidence[0].to_string();
    let expected =
        "2,310 tasks at 1,000 gauge devices, where 2.00 for each are expected: 15.5 % more, and 15 % may be";
    assert_eq!(said, expected);
}

/// The load table of a field report: 2.1 tasks for each device at 1,000 and 1.86 at 10,000.
#[test]
fn a_ratio_that_falls_with_the_load_is_silent() {
    let load = |devices: i64| (267 + devices as u64 * 11 / 6, devices);
    assert_eq!([load(1_000).0, load(10_000).0], [2_100, 18_600]);
    let up: Vec<(u64, i64)> = (1..=10).map(|i| load(1_000 * i)).collect();
    let down: Vec<(u64, i64)> = up.iter().rev().copied().collect();
    assert_eq!(lines(&up, ""), [""; 0]);
    assert_eq!(lines(&down, ""), [""; 0]);
    assert_eq!(lines(&[load(1_000), load(10_000)], ""), [""; 0]);
    assert_eq!(lines(&[load(10_000), load(1_000)], ""), [""; 0]);
}

/// Devices come and go, with two tasks each; from then on some tasks are left behind.
#[test]
fn a_learned_ratio_that_does_not_hold_any_more_is_possible() {
    let devices = [400, 500, 600, 700, 500, 400, 500, 500, 500];
    let with = |left: u64| {
        let counts = devices.iter().enumerate();
        counts
            .map(|(i, &devices)| (devices as u64 * 2 + if i >= 5 { left } else { 0 }, devices))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&with(150), ""), [""; 0], "15.0 %");
    assert_eq!(lines(&with(151), ""), ["leak possible svc.rs:9:9 1151"]);
    let mut for_a_moment = with(300);
    for_a_moment[8].0 = 1_000;
    assert_eq!(lines(&for_a_moment, ""), [""; 0]);
    let level: Vec<(u64, i64)> = with(300).into_iter().map(|(tasks, _)| (tasks, 500)).collect();
    assert_eq!(lines(&level, ""), [""; 0], "a load that hardly changes shows no ratio");
    let policy = "[rules.ratio]\nmin_load_factor = 1.8";
    assert_eq!(lines(&with(300), policy), [""; 0]);
    let policy = "[rules.ratio]\nmin_snapshots = 6";
    assert_eq!(lines(&with(300), policy), [""; 0]);
}

#[test]
fn tasks_that_have_nothing_to_do_with_the_load_are_silent() {
    let devices = [400, 500, 600, 700, 500, 400, 100, 100, 100];
    let workers: Vec<(u64, i64)> = devices.iter().map(|&devices| (200, devices)).collect();
    assert_eq!(lines(&workers, ""), [""; 0]);
    let fewer: Vec<(u64, i64)> = devices
        .iter()
        .enumerate()
        .map(|(i, &devices)| (if i >= 5 { 20 } else { devices as u64 }, devices))
        .collect();
    assert_eq!(lines(&fewer, ""), [""; 0], "fewer tasks than are learned");
}

/// What the service declares of itself: one task of `svc::task_9` for each device, in millionths.
fn declared(counts: &[(u64, i64)], tasks: &str, tolerance_ppm: u64, policy: &str) -> Vec<String> {
    let members = counts.iter().enumerate().map(|(i, &(count, devices))| {
        let mut snapshot = snapshot(100.0 + 10.0 * i as f64, count, devices);
        let (tasks, gauge) = (tasks.to_owned(), "devices".to_owned());
        snapshot.capture.expected_ratios =
            vec![ExpectedRatio { tasks, gauge, ratio_ppm: 1_000_000, tolerance_ppm }];
        Analysis::from(snapshot)
    });
    let series = Series::new(members.collect()).expect("one service");
    let policy = Policy::parse(policy).expect("valid");
    let report = judge_series(&series, &policy).expect("one service").expect("enough of them");
    let line = |found: &&Finding| format!("{} {}", found.category.as_str(), found.count.unwrap_or(0));
    of_rule(&report).iter().map(line).collect()
}

#[test]
fn the_border_of_what_the_service_declares_is_exact() {
    for (tasks, tolerance_ppm, expected) in [
        (1_000, 0, &[][..]),
        (1_001, 0, &["leak 1001"]),
        (999, 0, &["fault 999"]),
        (1_150, 150_000, &[]),
        (1_151, 150_000, &["leak 1151"]),
        (850, 150_000, &[]),
        (849, 150_000, &["fault 849"]),
    ] {
        for kind in ["svc::task_9", "task_9", "svc.rs:9", ""] {
            let found = declared(&[(1_000, 1_000), (tasks, 1_000)], kind, tolerance_ppm, "");
            assert_eq!(found, expected, "{tasks} of {kind:?}, {tolerance_ppm}");
        }
    }
    assert_eq!(
        declared(&[(1_000_000, 1_000_000), (1_000_001, 1_000_000)], "task_9", 0, ""),
        ["leak 1000001"]
    );
    assert_eq!(declared(&[(0, 0), (1, 0)], "task_9", 150_000, ""), ["leak 1"], "none is expected");
    assert_eq!(declared(&[(7, 1_000), (7, 1_000)], "svc::other", 0, ""), [""; 0], "no task is meant");
}

#[test]
fn a_policy_takes_precedence_over_what_the_service_declares() {
    let policy = "[[ratio]]\ngauge = 'devices'\nexpected = 2.0\nsite = 'task_9'";
    assert_eq!(declared(&[(2_000, 1_000), (2_000, 1_000)], "task_9", 0, policy), [""; 0]);
    assert_eq!(declared(&[(2_000, 1_000), (2_000, 1_000)], "task_9", 0, ""), ["leak 2000"]);
    let of_another = "[[ratio]]\ngauge = 'sessions'\nexpected = 2.0";
    assert_eq!(declared(&[(2_000, 1_000), (2_000, 1_000)], "task_9", 0, of_another), ["leak 2000"]);
}
