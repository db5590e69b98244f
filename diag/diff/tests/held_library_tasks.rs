//! The rule `zombie` on tasks that libraries spawn: nobody sees them end, a snapshot finds them ended.

use diag_diff::{Policy, diff, judge, judge_one};
use diag_snapshot::{
    Outcome, Process, SiteIndex, SiteKind, SiteRow, Snapshot, TaskId, TaskRow, TaskState, ZombieRow,
};

const SECOND: u64 = 1_000_000;

/// A service with one site of a library's, so long after its start.
fn service(seconds: u64) -> Snapshot {
    let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    snapshot.process.started_unix_us = 1_777_593_600 * SECOND;
    snapshot.capture.to_us = seconds * SECOND;
    let kind = Some(SiteKind::Library);
    snapshot.sites.push(SiteRow { kind, spawned: 400, freed: Some(0), ..SiteRow::default() });
    snapshot
}

/// One spawned every half second until now, each found ended by the first of these looks after that, or just now.
fn held(now: u64, looks: &[u64]) -> Snapshot {
    let found = |spawned_us: u64| {
        let looks = looks.iter().map(|look| look * SECOND);
        looks.into_iter().find(|&look| spawned_us < look).unwrap_or(now * SECOND)
    };
    let zombie = |i: u64| {
        let spawned_us = i * SECOND / 2;
        ZombieRow {
            id: TaskId(i + 1),
            site: SiteIndex(0),
            outcome: Outcome::Unknown,
            spawned_us,
            ended_us: found(spawned_us),
            handles: 1,
            wakers: 0,
            cell_bytes: Some(512),
            end_seen: Some(false),
            references: Some(u32::from(i.is_multiple_of(4))),
        }
    };
    Snapshot { zombies: (0..now * 2).map(zombie).collect(), ..service(now) }
}

/// The same with so many tasks that live.
fn with_live(snapshot: Snapshot, live: u64) -> Snapshot {
    let now_us = snapshot.capture.to_us;
    let task = |i| TaskRow {
        id: TaskId(10_000 + i),
        state: TaskState::Idle,
        spawned_us: now_us - SECOND,
        ..TaskRow::default()
    };
    Snapshot { tasks: (0..live).map(task).collect(), ..snapshot }
}

/// What is said of two snapshots, in one line each.
fn found(before: Snapshot, after: Snapshot) -> Vec<String> {
    let report = judge(&diff(&before.into(), &after.into()).expect("one service"), &Policy::default());
    let zombies = report.findings.iter().filter(|finding| finding.rule == "zombie");
    zombies
        .map(|finding| {
            let facts: Vec<String> = finding.evidence.iter().map(ToString::to_string).collect();
            let holder = finding.held_by.as_ref().map(ToString::to_string).unwrap_or_default();
            let category = finding.category.as_str();
            format!("{category} {}: {}; {holder}", finding.count.unwrap_or(0), facts.join("; "))
        })
        .collect()
}

#[test]
fn those_that_become_more_and_live_shortly_are_a_leak() {
    let said = found(with_live(held(40, &[40]), 3), with_live(held(80, &[40]), 5));
    let expected = "leak 160: they were first found ended 0 ns to 40 s ago, and none was dropped; nobody saw them end; \
                    they were spawned, and live shortly, in 8 of 8 equal parts of the time since the first of them; \
                    held ones went from 80 to 160, and none of the first were released; \
                    160 JoinHandles, 40 AbortHandles or wakers";
    assert_eq!(said, [expected]);
}

/// A batch that was at work for long, and has ended in one go.
#[test]
fn those_that_lived_together_are_none() {
    assert_eq!(found(with_live(held(40, &[40]), 60), held(80, &[40])), [""; 0]);
}

/// If the same two moments are those of the ends, it is two batches.
#[test]
fn two_moments_of_ends_that_were_seen_are_no_growth() {
    let seen = |snapshot: Snapshot| {
        let zombie = |zombie| ZombieRow { end_seen: None, references: None, ..zombie };
        Snapshot { zombies: snapshot.zombies.iter().map(zombie).collect(), ..snapshot }
    };
    assert_eq!(found(seen(held(40, &[40])), seen(held(80, &[40]))), [""; 0]);
}

#[test]
fn those_that_are_released_are_none() {
    let mut after = held(80, &[40]);
    after.zombies = after.zombies.iter().filter(|zombie| zombie.id.0 > 80).collect();
    assert_eq!(found(held(40, &[40]), after), [""; 0]);
}

/// Without a snapshot of before, nobody knows for how long they are held.
#[test]
fn a_first_look_says_nothing() {
    assert_eq!(judge_one(&held(600, &[]).into(), &Policy::default()), []);
}

#[test]
fn many_looks_tell_when_they_ended() {
    let looks: Vec<u64> = (1..60).map(|look| look * 10).collect();
    let found = judge_one(&held(600, &looks).into(), &Policy::default());
    let said: Vec<_> = found.iter().map(|found| (found.category.as_str(), found.count)).collect();
    assert_eq!(said, [("leak", Some(1_080))]);
}
