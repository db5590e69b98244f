//! The rule `gauge-growth` on connections that are never given back, and on their healthy twins.

use diag_analysis::Analysis;
use diag_analysis::gauge::Gauge;
use diag_diff::rules::{evidence::Evidence, risk::Risk};
use diag_diff::{Confidence, Finding, Outcome, Policy, Report, Series, judge_series, report};
use diag_snapshot::{Child, DescriptorKind, Micros};
use diag_test_support::scenario::{Churn, Ghosts, Published, Service, Steady, in_order};

const HOUR: f64 = 3_600.0;

fn judged(service: &Service, moments: &[f64], policy: &str) -> Report {
    let members = moments.iter().map(|&at| Analysis::from(service.at(at)));
    let series = Series::new(members.collect()).expect("one service");
    let policy = Policy::parse(policy).expect("valid");
    judge_series(&series, &policy).expect("one service").expect("enough of them")
}

fn of_rule(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|found| found.rule == "gauge-growth").collect()
}

fn found(service: &Service, moments: &[f64]) -> usize {
    of_rule(&judged(service, moments, "")).len()
}

/// A few requests, and sockets.
fn service(sockets: Vec<(f64, Option<f64>)>) -> Service {
    Service {
        sockets,
        ..Service::new(
            Churn { until: 40.0 * HOUR, per_s: 0.01, lifetime: 1.0, pause: 0.1, ..Churn::default() }.tasks(),
        )
    }
}

/// A moment every so many seconds.
fn every(seconds: f64, count: u32) -> Vec<f64> {
    (0..count).map(|i| 60.0 + seconds * f64::from(i)).collect()
}

/// 20 that come and go, and eight an hour that stay.
fn leak(seed: u64) -> Vec<(f64, Option<f64>)> {
    [
        Churn {
            seed,
            line: 0,
            until: 40.0 * HOUR,
            per_s: 20.0 / 60.0,
            lifetime: 60.0,
            pause: 1.0,
            ..Churn::default()
        }
        .sockets(),
        Ghosts { line: 0, from: 0.0, until: 40.0 * HOUR, per_s: 8.0 / HOUR }.sockets(),
    ]
    .concat()
}

#[test]
fn eight_an_hour_among_twenty_are_found() {
    for seed in 1..=6 {
        let service = service(leak(seed));
        for (moments, about) in
            [(every(6.0 * HOUR, 4), "four"), (every(HOUR, 24), "24"), (every(12.0 * HOUR, 3), "three")]
        {
            assert_eq!(found(&service, &moments), 1, "{about} of seed {seed}");
        }
    }
}

#[test]
fn a_slow_rise_is_told_by_the_hour() {
    let report = judged(
        &service(Ghosts { line: 0, from: 0.0, until: 40.0 * HOUR, per_s: 8.0 / HOUR }.sockets()),
        &every(6.0 * HOUR, 4),
        "",
    );
    let title = "LEAK (possible): 145 at (sockets), +8.0/h, since";
    assert!(report::text::render(&report).contains(title), "{}", report::text::render(&report));
}

#[test]
fn what_is_found_says_how_many_stay_and_when_the_limit_is_met() {
    let report = judged(
        &service(Ghosts { line: 0, from: 0.0, until: 400.0, per_s: 1.0 }.sockets()),
        &every(20.0, 4),
        "",
    );
    let [found] = of_rule(&report)[..] else { panic!("{:?}", report.findings) };
    assert_eq!(
        (found.category.as_str(), found.confidence.as_str(), found.count),
        ("leak", "possible", Some(121))
    );
    assert_eq!((report.outcome, report.fails), (Outcome::Findings, false));
    let (gauge, lasted) = (Gauge::Descriptors(DescriptorKind::Socket), Micros(60_000_000));
    assert_eq!(found.evidence, [Evidence::GaugeRose { gauge, lasted, floors: vec![61, 81, 121] }]);
    assert_eq!(found.counter_evidence, [Evidence::MoreLoadLooksTheSame]);
    // 891 of 1,024 are free, and one is taken each second.
    assert_eq!(found.risk, Risk::DescriptorsRunOut { limit: 1_024, after: Micros(891_000_000) });
    let text = report::text::render(&report);
    for said in [
        "LEAK (possible): 121 at (sockets), +1.0/s, since 2026-01-01T00:01:00Z",
        "sockets rose in all of 2 windows, 1 min together: at no later time there were fewer than 61, then 81 and 121",
        "the limit of 1,024 open files is met in 14 min",
    ] {
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn what_does_not_rise_is_silent() {
    for seed in 1..=6 {
        let busy = |count, lifetime| {
            service(
                Churn {
                    seed,
                    line: 0,
                    until: 40.0 * HOUR,
                    per_s: count / lifetime,
                    lifetime,
                    pause: 1.0,
                    ..Churn::default()
                }
                .sockets(),
            )
        };
        for moments in [every(10.0, 4), every(HOUR, 24), every(6.0 * HOUR, 4), every(30.0, 60)] {
            assert_eq!(found(&busy(20.0, 60.0), &moments), 0, "10 to 30, seed {seed}");
            assert_eq!(found(&busy(190.0, 300.0), &moments), 0, "190, seed {seed}");
        }
    }
    assert_eq!(
        found(&service(Ghosts { line: 0, from: 0.0, until: 1.0, per_s: 190.0 }.sockets()), &every(HOUR, 24)),
        0,
        "190 that stay"
    );
}

#[test]
fn what_is_full_is_silent() {
    let pool = service(Ghosts { line: 0, from: 0.0, until: 120.0, per_s: 1.0 }.sockets());
    assert_eq!(found(&pool, &every(20.0, 4)), 1, "still on its way");
    assert_eq!(found(&pool, &every(20.0, 7)), 0, "full for a minute");
}

#[test]
fn all_that_come_again_are_silent() {
    let wave = |from: f64| {
        (0..100).map(move |i| (from + f64::from(i) / 10.0, Some(from + 600.0 + f64::from(i) / 20.0)))
    };
    let sockets = (0..6).flat_map(|wave_no| wave(600.0 * f64::from(wave_no))).collect();
    let service = service(sockets);
    for moments in [every(30.0, 60), every(100.0, 30), every(7.0, 100)] {
        assert_eq!(found(&service, &moments), 0, "{moments:?}");
    }
}

/// Connections with a task each are the load.
#[test]
fn what_rises_with_its_tasks_is_silent() {
    let tasks = |per_socket: u32| {
        Steady { line: 9, count: 300 * per_socket, from: 0.0, until: 300.0, pause: 1.0 }.tasks()
    };
    let with = |tasks| Service {
        tasks: in_order(tasks),
        ..service(Ghosts { line: 0, from: 0.0, until: 300.0, per_s: 1.0 }.sockets())
    };
    for (tasks, expected, about) in [
        (Vec::new(), 1, "no tasks"),
        (tasks(1), 0, "a task each"),
        (tasks(4), 0, "four each"),
        (Steady { line: 9, count: 150, from: 0.0, until: 300.0, pause: 1.0 }.tasks(), 0, "one for two"),
        (tasks(5), 1, "five each"),
        (
            Steady { line: 9, count: 130, from: 0.0, until: 300.0, pause: 1.0 }.tasks(),
            1,
            "fewer than one for two",
        ),
    ] {
        assert_eq!(found(&with(tasks), &every(20.0, 6)), expected, "{about}");
    }
    let untracked = Service {
        untracked: |at| Some(at as u64),
        ..service(Ghosts { line: 0, from: 0.0, until: 300.0, per_s: 1.0 }.sockets())
    };
    assert_eq!(found(&untracked, &every(20.0, 6)), 0, "a task of a library each");
}

/// One step either side of each limit, of sockets that rise once a second.
#[test]
fn the_limits_are_exact() {
    let rise = |per_s| {
        judged(&service(Ghosts { line: 0, from: 59.0, until: 400.0, per_s }.sockets()), &every(10.0, 4), "")
    };
    // 1 to 25 is by 24, and five times the root of 25 is 25; one to 28 is by 27.
    assert_eq!(of_rule(&rise(0.8)).len(), 0);
    assert_eq!(of_rule(&rise(0.9)).len(), 1);
    let under = |policy: &str| {
        let policy = format!("[rules.gauge-growth]\n{policy}");
        of_rule(&judged(
            &service(Ghosts { line: 0, from: 59.0, until: 400.0, per_s: 1.0 }.sockets()),
            &every(10.0, 4),
            &policy,
        ))
        .len()
    };
    for (policy, expected) in [
        ("min_rise = 30", 1),
        ("min_rise = 31", 0),
        ("min_growth_s = 30", 1),
        ("min_growth_s = 30.1", 0),
        ("min_windows = 3", 1),
        ("min_windows = 4", 0),
    ] {
        assert_eq!(under(policy), expected, "{policy}");
    }
}

#[test]
fn what_a_service_publishes_is_looked_at_unless_it_counts_events() {
    let with = |gauges| Service { gauges, ..service(Vec::new()) };
    let connections = with(vec![("db_connections", |at| at as i64), ("queries_total", |at| at as i64 * 3)]);
    let report = judged(&connections, &every(20.0, 4), "");
    let places: Vec<String> = of_rule(&report).iter().map(|found| found.subject.location()).collect();
    assert_eq!(places, ["(gauge db_connections)"]);
    let level = with(vec![("db_connections", |at| 20 + at as i64 % 7)]);
    assert_eq!(found(&level, &every(20.0, 4)), 0);
}

/// One client for each call opens several things.
#[test]
fn what_rises_together_is_one_finding() {
    let gauges: Vec<Published> = vec![("connections", |at| at as i64), ("entries", |at| at as i64 * 50)];
    let service =
        Service { gauges, ..service(Ghosts { line: 0, from: 0.0, until: 400.0, per_s: 1.0 }.sockets()) };
    let report = judged(&service, &every(20.0, 4), "");
    let found: Vec<(String, usize)> =
        of_rule(&report).iter().map(|found| (found.subject.location(), found.evidence.len())).collect();
    assert_eq!(found, [("(gauge entries)".to_owned(), 1), ("(sockets)".to_owned(), 2)]);
}

/// What is said of children, of which so many have ended and so many run at a time.
fn of_children(ended: fn(f64) -> u64, run: u64) -> Vec<Confidence> {
    let member = |at: f64| {
        let mut snapshot = service(Vec::new()).at(at);
        let child = |has_ended| Child { has_ended, ..Child::default() };
        let listed = (0..ended(at)).map(|_| child(true)).chain((0..run).map(|_| child(false)));
        let children: Vec<Child> = listed.collect();
        snapshot.capture.resources.child_processes = Some(children.len() as u64);
        snapshot.capture.resources.children = Some(children);
        Analysis::from(snapshot)
    };
    let series = Series::new(every(5.0, 12).into_iter().map(member).collect()).expect("one service");
    let report = judge_series(&series, &Policy::default()).expect("one service").expect("enough of them");
    of_rule(&report).into_iter().map(|finding| finding.confidence).collect()
}

#[test]
fn children_that_ended_and_stay_are_likely() {
    assert_eq!(of_children(|at| at as u64, 3), [Confidence::Likely]);
    assert_eq!(of_children(|at| (at as u64 * 7) % 40, 200), [], "they come, and are waited for");
    assert_eq!(of_children(|_| 90, 0), [], "from before, and no more");
}
