//! The rule `resource-leak` on sockets that are left open where they were opened, and on their healthy twins.

use diag_analysis::Analysis;
use diag_diff::rules::advice::Advice;
use diag_diff::rules::evidence::Evidence;
use diag_diff::rules::finding::Confidence;
use diag_diff::{Finding, Policy, Report, Series, judge_one, judge_series, report};
use diag_snapshot::{
    Micros, Process, Protocol, ResourceAgeRow, ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow,
    ResourceState, SiteRow, Snapshot, SocketState, TaskId, TaskRow,
};

/// A connection; times are seconds.
#[derive(Clone, Copy)]
struct Socket {
    opened: f64,
    closed: Option<f64>,
    /// Something is sent so often; never after it was opened if this is infinite.
    used_every: f64,
    /// The other side closes it.
    peer_closes: Option<f64>,
}

const SILENT: f64 = f64::INFINITY;

/// One that is open for half a second and used all the time.
fn short(opened: f64) -> Socket {
    Socket { opened, closed: Some(opened + 0.5), used_every: 0.1, peer_closes: None }
}

/// One that nobody gives back.
fn left(opened: f64) -> Socket {
    Socket { opened, closed: None, used_every: SILENT, peer_closes: None }
}

/// Ten a second from start on.
fn busy() -> Vec<Socket> {
    (0..2_000).map(|i| short(f64::from(i) * 0.1)).collect()
}

/// So many a second, from a time on.
fn every(seconds: f64, from: f64, until: f64, make: fn(f64) -> Socket) -> Vec<Socket> {
    let count = ((until - from) / seconds) as u32;
    (0..count).map(|i| make(from + f64::from(i) * seconds)).collect()
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// The process at a time, with as many live tasks of a site.
fn at(now: f64, sockets: &[Socket], tasks: u64) -> Snapshot {
    let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    (snapshot.capture.from_us, snapshot.capture.to_us) = (us(now), us(now));
    let resources = &mut snapshot.capture.resources;
    (resources.open_fds, resources.open_fds_limit) = (Some(100), Some(1_024));
    let [file, function] =
        ["src/pool.rs", "svc::pool::acquire"].map(|name| Some(snapshot.strings.intern(name)));
    let type_name = snapshot.strings.intern("svc::serve");
    let site =
        SiteRow { file: file.expect("it has one"), line: 9, type_name, spawned: tasks, ..SiteRow::default() };
    snapshot.sites.push(site);
    snapshot.tasks = (1..=tasks).map(|id| TaskRow { id: TaskId(id), ..TaskRow::default() }).collect();
    let site = ResourceSiteIndex(0);
    let mut row = ResourceSiteRow {
        kind: ResourceKind::Socket,
        file,
        line: Some(40),
        function,
        ..ResourceSiteRow::default()
    };
    let mut ages = [0; 40];
    for (id, socket) in (1..).zip(sockets).filter(|(_, socket)| socket.opened <= now) {
        row.opened += 1;
        if let Some(closed) = socket.closed.filter(|&closed| closed <= now) {
            row.closed += 1;
            ages[((closed - socket.opened) * 1e3).log2() as usize] += 1;
            continue;
        }
        let age = now - socket.opened;
        let silent = if socket.used_every.is_finite() { age % socket.used_every } else { age };
        let is_half_closed = socket.peer_closes.is_some_and(|closes| closes <= now);
        snapshot.resources.push(ResourceRow {
            id,
            site,
            opened_us: us(socket.opened),
            protocol: Some(Protocol::Tcp),
            state: Some(if is_half_closed { SocketState::CloseWait } else { SocketState::Established }),
            idle_us: Some(us(silent)),
            ..ResourceRow::default()
        });
    }
    snapshot.resource_sites.push(row);
    let used = (0..).zip(ages).filter(|(_, count)| *count > 0);
    snapshot.resource_ages = used.map(|(bucket, count)| ResourceAgeRow { site, bucket, count }).collect();
    snapshot
}

fn judged_with(sockets: &[Socket], moments: &[f64], tasks: fn(f64) -> u64) -> Report {
    let members = moments.iter().map(|&now| Analysis::from(at(now, sockets, tasks(now))));
    let series = Series::new(members.collect()).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("enough of them")
}

fn judged(sockets: &[Socket], moments: &[f64]) -> Report {
    judged_with(sockets, moments, |_| 5)
}

fn of_rule(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|found| found.rule == "resource-leak").collect()
}

const MOMENTS: [f64; 4] = [20.0, 40.0, 60.0, 80.0];

#[test]
fn connections_that_nobody_gives_back_are_found_where_they_were_opened() {
    let sockets = [busy(), every(1.0, 0.0, 200.0, left)].concat();
    let report = judged(&sockets, &MOMENTS);
    let [finding] = of_rule(&report)[..] else { panic!("{}", report::text::render(&report)) };
    assert_eq!(finding.subject.location(), "src/pool.rs:40");
    assert_eq!(
        (finding.confidence, finding.subject.name().as_deref()),
        (Confidence::Likely, Some("svc::pool::acquire"))
    );
    // 99 % were open for less than 0.512 s, and three times that is 1.5 s.
    assert_eq!(finding.count, Some(79), "those that have been silent for three times as long");
    assert!(matches!(finding.advice, Advice::GiveBack { .. }));
    let text = report::text::render(&report);
    for sentence in [
        "LEAK (likely): 79 sockets at src/pool.rs:40",
        "nothing was sent on 79 sockets for at least 2 s",
        "were neither used nor closed in",
        "next: look at what keeps the connections that are opened at src/pool.rs:40 after their last use",
        "risk: at this rate the limit of 1,024 open files is met in",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
    assert!(report.findings.iter().all(|finding| finding.rule != "gauge-growth"));
}

#[test]
fn eight_an_hour_among_many_are_found_within_three_snapshots() {
    const HOUR: f64 = 3_600.0;
    let short = |opened| Socket { opened, closed: Some(opened + 40.0), used_every: 1.0, peer_closes: None };
    let sockets = [every(2.0, 0.0, 40.0 * HOUR, short), every(HOUR / 8.0, 0.0, 40.0 * HOUR, left)].concat();
    let report = judged(&sockets, &[6.0 * HOUR, 12.0 * HOUR, 18.0 * HOUR]);
    let [finding] = of_rule(&report)[..] else { panic!("{}", report::text::render(&report)) };
    assert_eq!(finding.confidence, Confidence::Likely);
    let steady = [every(2.0, 0.0, 40.0 * HOUR, short), every(1.0, 0.0, 190.0, left)].concat();
    let report = judged(&steady, &[6.0 * HOUR, 12.0 * HOUR, 18.0 * HOUR]);
    assert!(of_rule(&report).is_empty(), "190 that stay");
}

/// A first snapshot in which hardly any can be left yet does not put the answer off: their ages say what it would have said.
#[test]
fn a_leak_that_begins_with_the_service_needs_no_snapshot_before_it() {
    let many = || every(0.01, 0.0, 200.0, short);
    let sockets = [many(), every(0.3, 0.0, 200.0, left)].concat();
    let report = judged(&sockets, &[2.0, 10.0]);
    let [finding] = of_rule(&report)[..] else { panic!("{}", report::text::render(&report)) };
    assert_eq!((finding.confidence, finding.count), (Confidence::Likely, Some(29)));
    assert_eq!(finding.counter_evidence, []);
    let said = "27 of them are left for 512 ms more than that takes; of those that were closed meanwhile none had been open for as long";
    assert!(report::text::render(&report).contains(said), "{}", report::text::render(&report));
    // The twin: as many come to be left, and the first of them are closed after as long.
    let long = |opened| Socket { opened, closed: Some(opened + 5.2), used_every: SILENT, peer_closes: None };
    let report = judged(&[many(), every(0.1, 4.0, 200.0, long)].concat(), &[2.0, 10.0]);
    let [finding] = of_rule(&report)[..] else { panic!("{}", report::text::render(&report)) };
    assert_eq!(finding.confidence, Confidence::Possible, "{}", report::text::render(&report));
}

#[test]
fn what_only_the_other_side_closed_is_found_though_nothing_ever_was_closed_here() {
    let half_closed =
        |opened: f64| Socket { opened, closed: None, used_every: SILENT, peer_closes: Some(opened + 1.0) };
    let sockets = every(1.0, 0.0, 200.0, half_closed);
    let report = judged(&sockets, &MOMENTS);
    let [finding] = of_rule(&report)[..] else { panic!("{}", report::text::render(&report)) };
    assert_eq!((finding.confidence, finding.count), (Confidence::Likely, Some(80)));
    assert!(matches!(finding.advice, Advice::DropWhenClosed { .. }));
    let pair = judged(&sockets, &[20.0, 40.0]);
    let [finding] = of_rule(&pair)[..] else { panic!("{}", report::text::render(&pair)) };
    assert_eq!(finding.confidence, Confidence::Possible, "20 s are no long time");
    assert!(matches!(finding.counter_evidence[..], [Evidence::GrowthIsShort { .. }]));
}

#[test]
fn healthy_connections_are_silent() {
    let pooled = |opened| Socket { opened, closed: None, used_every: 2.0, peer_closes: None };
    let ended_late = |opened: f64| Socket {
        opened,
        closed: Some(opened + 1.1),
        used_every: SILENT,
        peer_closes: Some(opened + 1.0),
    };
    for (what, sockets) in [
        ("come and go", busy()),
        ("a pool that is used now and then, and grows", [busy(), every(1.0, 0.0, 200.0, pooled)].concat()),
        ("190 that stay", [busy(), every(0.05, 0.0, 9.5, left)].concat()),
        ("a wave", [busy(), every(0.01, 50.0, 51.0, left)].concat()),
        ("the other side closes first", [busy(), every(0.1, 0.0, 200.0, ended_late)].concat()),
    ] {
        let report = judged(&sockets, &MOMENTS);
        assert!(of_rule(&report).is_empty(), "{what}: {}", report::text::render(&report));
    }
}

#[test]
fn what_the_service_says_it_acquires_is_judged_alike() {
    let held = [busy(), every(1.0, 0.0, 200.0, left)].concat();
    let in_use = |now: f64| {
        let mut snapshot = at(now, &held, 5);
        let name = Some(snapshot.strings.intern("db connection"));
        let site = |row| ResourceSiteRow { kind: ResourceKind::InUse, name, ..row };
        snapshot.resource_sites = snapshot.resource_sites.iter().map(site).collect();
        let row = |row| ResourceRow { protocol: None, state: None, idle_us: None, ..row };
        snapshot.resources = snapshot.resources.iter().map(row).collect();
        Analysis::from(snapshot)
    };
    let series = Series::new(MOMENTS.map(in_use).into()).expect("one service");
    let report = judge_series(&series, &Policy::default()).expect("one service").expect("enough of them");
    let text = report::text::render(&report);
    for sentence in [
        "LEAK (likely): 79 db connections at src/pool.rs:40",
        "next: look at what keeps each db connection that is acquired at src/pool.rs:40 after its last use",
        "risk: they are kept until the process ends",
        "79 have been in use for at least 2 s; 99 % of the 796 that were given back were in use no longer than 512 ms",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
    assert!(!text.contains("the limit of 1,024"), "it need not have a descriptor: {text}");
}

#[test]
fn sockets_that_tasks_hold_are_told_by_these() {
    let sockets = [busy(), every(1.0, 0.0, 200.0, left)].concat();
    let report = judged_with(&sockets, &MOMENTS, |now| 5 + now as u64);
    assert!(of_rule(&report).is_empty(), "{}", report::text::render(&report));
}

/// Who acquired the connection with this id, if that is known; and which tasks live at a time, each with its parent.
struct Holders {
    opener: fn(u64) -> Option<u64>,
    tasks: fn(f64) -> Vec<(u64, Option<u64>)>,
}

/// What the service has in use, one a second of it for ever, beside as many tasks more as `holders` says.
fn in_use_by(holders: &Holders) -> Report {
    let sockets = [busy(), every(1.0, 0.0, 200.0, left)].concat();
    let member = |now: f64| {
        let mut snapshot = at(now, &sockets, 0);
        let name = Some(snapshot.strings.intern("db connection"));
        let site = |row| ResourceSiteRow { kind: ResourceKind::InUse, name, ..row };
        snapshot.resource_sites = snapshot.resource_sites.iter().map(site).collect();
        let row = |row: ResourceRow| ResourceRow {
            protocol: None,
            state: None,
            idle_us: None,
            opener: (holders.opener)(row.id).map(TaskId),
            ..row
        };
        snapshot.resources = snapshot.resources.iter().map(row).collect();
        let task = |(id, parent): (u64, Option<u64>)| TaskRow {
            id: TaskId(id),
            parent: parent.map(TaskId),
            last_poll_us: Some(us(now)),
            ..TaskRow::default()
        };
        snapshot.tasks = (holders.tasks)(now).into_iter().map(task).collect();
        Analysis::from(snapshot)
    };
    let series = Series::new(MOMENTS.map(member).into()).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("enough of them")
}

/// Ids of the tasks of connections that stay, of which there is one a second: their ids follow those of the short ones.
fn stayed_by(now: f64) -> impl Iterator<Item = u64> {
    (2_001..).take(now as usize)
}

#[test]
fn what_is_in_use_is_not_hidden_by_tasks_that_have_nothing_to_do_with_it() {
    let strangers = |now: f64| (9_000..).take(now as usize).map(|id| (id, Some(1))).collect();
    let report = in_use_by(&Holders { opener: Some, tasks: strangers });
    let [finding] = of_rule(&report)[..] else { panic!("{}", report::text::render(&report)) };
    assert_eq!((finding.confidence, finding.count), (Confidence::Likely, Some(79)));
}

#[test]
fn what_is_in_use_is_told_by_the_tasks_that_hold_it() {
    for (what, holders) in [
        (
            "those that acquired it",
            Holders { opener: Some, tasks: |now| stayed_by(now).map(|id| (id, None)).collect() },
        ),
        (
            "those that they spawned",
            Holders { opener: Some, tasks: |now| stayed_by(now).map(|id| (id + 10_000, Some(id))).collect() },
        ),
        (
            "those that one which acquires for all of them spawned",
            Holders {
                opener: |_| Some(1),
                tasks: |now| [(1, None)].into_iter().chain(stayed_by(now).map(|id| (id, Some(1)))).collect(),
            },
        ),
        (
            "any, where nobody knows who acquired it",
            Holders { opener: |_| None, tasks: |now| stayed_by(now).map(|id| (id, None)).collect() },
        ),
    ] {
        let report = in_use_by(&holders);
        assert!(of_rule(&report).is_empty(), "{what}: {}", report::text::render(&report));
    }
    let alone = in_use_by(&Holders { opener: |_| Some(1), tasks: |_| vec![(1, None)] });
    assert_eq!(of_rule(&alone).len(), 1, "one task that keeps all of it is not in step");
}

/// Connections of a pool, each idle for ever: nobody has them.
#[test]
fn what_a_pool_keeps_idle_is_not_left() {
    let held = [busy(), every(1.0, 0.0, 200.0, left)].concat();
    let judged_as = |in_state: ResourceState| {
        let pooled = |now: f64| {
            let mut snapshot = at(now, &held, 5);
            let name = Some(snapshot.strings.intern("db connection"));
            let site = |row| ResourceSiteRow { kind: ResourceKind::InUse, name, ..row };
            snapshot.resource_sites = snapshot.resource_sites.iter().map(site).collect();
            let row = |row| ResourceRow {
                protocol: None,
                state: None,
                idle_us: None,
                in_state: Some(in_state),
                ..row
            };
            snapshot.resources = snapshot.resources.iter().map(row).collect();
            Analysis::from(snapshot)
        };
        let series = Series::new(MOMENTS.map(pooled).into()).expect("one service");
        judge_series(&series, &Policy::default()).expect("one service").expect("enough of them")
    };
    assert_eq!(of_rule(&judged_as(ResourceState::Idle)).len(), 0);
    assert_eq!(of_rule(&judged_as(ResourceState::Created)).len(), 0);
    assert_eq!(of_rule(&judged_as(ResourceState::InUse)).len(), 1, "and is if somebody has them");
}

/// Values at 100 s: made so long ago, and to be dropped within so long.
fn values(ages: &[(f64, Option<f64>)]) -> Snapshot {
    let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    (snapshot.capture.from_us, snapshot.capture.to_us) = (us(100.0), us(100.0));
    let [name, file] = ["svc::Session", "src/login.rs"].map(|name| Some(snapshot.strings.intern(name)));
    let (kind, line, opened) = (ResourceKind::Value, Some(12), ages.len() as u64);
    snapshot.resource_sites.push(ResourceSiteRow {
        kind,
        name,
        file,
        line,
        opened,
        ..ResourceSiteRow::default()
    });
    for (id, (age, within)) in (1..).zip(ages) {
        let opened_us = us(100.0 - age);
        let due_us = within.map(|within| opened_us + us(within));
        snapshot.resources.push(ResourceRow { id, opened_us, due_us, ..ResourceRow::default() });
    }
    snapshot
}

#[test]
fn a_value_that_outlives_its_time_is_proven_in_one_snapshot() {
    let found = |ages: &[(f64, Option<f64>)]| judge_one(&values(ages).into(), &Policy::default());
    let late = found(&[(95.0, Some(30.0)), (40.0, Some(30.0)), (10.0, Some(30.0)), (99.0, None)]);
    let [finding] = &late[..] else { panic!("{late:#?}") };
    assert_eq!(
        (finding.rule, finding.confidence, finding.count),
        ("resource-leak", Confidence::Proven, Some(2))
    );
    let expected = Evidence::BeyondTheirTime {
        values: 2,
        live: 4,
        within: Micros(30_000_000),
        least: Micros(10_000_000),
        longest: Micros(65_000_000),
    };
    assert_eq!(finding.evidence, [expected]);
    let text = report::text::findings(&late);
    for sentence in [
        "LEAK (proven): 2 svc::Sessions at src/login.rs:12",
        "2 of the 4 that live were to be dropped within 30 s, and live on for 10 s to 1 min more",
        "next: look at what keeps the values that are made at src/login.rs:12 beyond their time",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
    // The border: what was said, and the grace.
    assert_eq!(found(&[(31.0, Some(30.0))]).len(), 0);
    assert_eq!(found(&[(31.000_001, Some(30.0))]).len(), 1);
    // The healthy twins: in their time, however old; and one of which nothing was said.
    assert_eq!(found(&[(95.0, Some(96.0)), (99.0, None)]).len(), 0);
}
