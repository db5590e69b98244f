//! Groups in a snapshot are what the service did with them, to the member: who joined, what became of each, who goes on
//! after they were asked to end, and how long the others took.

use std::future::pending;
use std::time::Duration;

use diag::task::JoinSet;
use diag_snapshot::{GroupRow, MemberRow, MemberState, Snapshot};
use diag_test_support::eventually::eventually;
use tokio::task::yield_now;

/// The groups of one kind, with their members: `name joined/done/cancelled/panicked reason: member state, ..`
fn groups(snapshot: &Snapshot, kind: &str) -> Vec<String> {
    let is_of_kind = |group: &GroupRow| {
        let site = snapshot.group_sites.get(group.site.0 as usize).expect("it is there");
        assert!(snapshot.strings.show(site.file).ends_with("tests/task_groups.rs"));
        snapshot.strings.show(site.kind) == kind
    };
    snapshot.groups.iter().filter(is_of_kind).map(|group| text(snapshot, &group)).collect()
}

fn text(snapshot: &Snapshot, group: &GroupRow) -> String {
    let GroupRow { joined, done, cancelled, panicked, .. } = group;
    let reason = group.cancel_reason.map_or("-", |reason| snapshot.strings.show(reason));
    let members = snapshot.members.iter().filter(|member| member.group == group.id);
    let members: Vec<String> = members
        .map(|member| format!("{} {}", snapshot.strings.show(member.name), member.state.as_str()))
        .collect();
    let name = snapshot.strings.show(group.name);
    format!("{name} {joined}/{done}/{cancelled}/{panicked} {reason}: {}", members.join(", "))
}

fn now() -> Snapshot {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    snapshot
}

/// How many members ended after they were asked to, at the place that makes groups of this kind, and groups made and cancelled
/// there.
fn totals(snapshot: &Snapshot, kind: &str) -> (u64, u64, u64) {
    let sites = snapshot.group_sites.iter().zip(0..);
    let (site, index) =
        sites.into_iter().find(|(site, _)| snapshot.strings.show(site.kind) == kind).expect("it made some");
    let latencies = snapshot.cancel_latencies.iter().filter(|row| row.site.0 == index);
    (latencies.map(|row| row.count).sum(), site.made, site.cancelled)
}

async fn until_alive(group: &diag::task::Group, alive: usize) {
    for _ in 0..10_000 {
        if group.len() == alive {
            return;
        }
        yield_now().await;
    }
    panic!("{group:?}");
}

#[tokio::test]
async fn a_part_that_outlives_its_cancel_is_told_from_those_that_do_not() {
    let upload = diag::group("upload", "photos/7.jpg");
    for part in 36..45 {
        let cancelled = upload.cancelled();
        upload.spawn(part, async move {
            if part == 36 {
                return;
            }
            if part == 42 {
                pending::<()>().await;
            }
            cancelled.await;
        });
    }
    let failed = upload.spawn("45", async { panic!("the store is gone") });
    assert!(failed.await.is_err());
    until_alive(&upload, 8).await;
    let parts = |states: [&str; 10]| {
        let parts: Vec<String> = (36..).zip(states).map(|(part, state)| format!("{part} {state}")).collect();
        parts.join(", ")
    };
    let a = "alive";
    let before = parts(["done", a, a, a, a, a, a, a, a, "panicked"]);
    assert_eq!(groups(&now(), "upload"), [format!("photos/7.jpg 10/1/0/1 -: {before}")]);
    assert_eq!(totals(&now(), "upload"), (0, 1, 0));

    assert!(upload.cancel("the client went away") && upload.is_cancelled());
    assert!(!upload.cancel("and again"), "once");
    until_alive(&upload, 1).await;
    let snapshot = now();
    let d = "done";
    let after = parts([d, d, d, d, d, d, a, d, d, "panicked"]);
    assert_eq!(groups(&snapshot, "upload"), [format!("photos/7.jpg 10/8/0/1 the client went away: {after}")]);
    assert_eq!(totals(&snapshot, "upload"), (7, 1, 1), "those that had ended before were not asked");
    let group = snapshot.groups.iter().find(|group| group.alive() == 1).expect("part 42 goes on");
    assert_eq!(group.aborted, Some(false));
    assert!(
        group.made_us <= group.cancel_us.expect("it was") && group.cancel_us <= Some(snapshot.capture.to_us)
    );
    let straggler: Vec<MemberRow> =
        snapshot.members.iter().filter(|member| member.state == MemberState::Alive).collect();
    let task = snapshot.task(straggler[0].task.expect("it was polled")).expect("it lives");
    assert_eq!(snapshot.strings.show(task.name.expect("the member's")), "42");
    let labels: Vec<_> = snapshot.labels_of(task.id).collect();
    assert_eq!(labels, [("upload", "photos/7.jpg")]);

    assert!(!upload.abort("at last"));
    until_alive(&upload, 0).await;
    let snapshot = now();
    assert!(groups(&snapshot, "upload")[0].starts_with("photos/7.jpg 10/8/1/1 the client went away: "));
    assert_eq!(
        snapshot.groups.iter().find(|group| group.joined == 10).expect("it is known").aborted,
        Some(true)
    );
    drop(upload);
    eventually(Duration::from_secs(10), "nobody has it any more", || {
        let left = groups(&now(), "upload");
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    assert_eq!(totals(&now(), "upload"), (8, 1, 1), "its place is known");
}

/// The healthy twin: all of them end when they are asked to.
#[tokio::test]
async fn members_that_listen_leave_nobody_behind() {
    let jobs = diag::group("batch", 1);
    let mut set = JoinSet::new();
    for job in 0..50 {
        set.spawn(jobs.track(format!("job {job}"), jobs.cancelled()));
    }
    yield_now().await;
    assert_eq!(jobs.len(), 50);
    assert!(jobs.cancel("done with it"));
    while set.join_next().await.is_some() {}
    assert!(jobs.is_empty());
    let snapshot = now();
    assert_eq!(totals(&snapshot, "batch"), (50, 1, 1));
    assert!(groups(&snapshot, "batch")[0].starts_with("1 50/50/0/0 done with it: job 0 done, job 1 done"));
}

#[tokio::test]
async fn who_joins_an_aborted_group_is_aborted() {
    let group = diag::group("late", "g");
    assert!(group.abort("over"));
    let late = group.spawn("late", pending::<()>());
    assert!(late.await.expect_err("it never ends").is_cancelled());
    // The waiter that comes later does not wait.
    group.cancelled().await;
    assert_eq!(groups(&now(), "late"), ["g 1/0/1/0 over: late cancelled"]);
    assert_eq!(totals(&now(), "late"), (1, 1, 1), "it took as long as it lived");
}

#[tokio::test]
async fn a_future_that_is_dropped_has_left_its_group() {
    let group = diag::group("race", "g");
    tokio::select! {
        biased;
        () = group.track("slow", async {
            diag::task::Builder::new().name("child of race").spawn(pending::<()>()).expect("never fails");
            pending().await
        }) => unreachable!(),
        () = yield_now() => {}
    }
    drop(group.track("never polled", async {}));
    let snapshot = now();
    assert_eq!(groups(&snapshot, "race"), ["g 2/0/2/0 -: slow cancelled, never polled cancelled"]);
    let name = |task: &diag_snapshot::TaskRow| task.name.map(|name| snapshot.strings.show(name));
    let child = snapshot.tasks.iter().find(|task| name(task) == Some("child of race")).expect("it lives");
    assert_eq!(snapshot.labels_of(child.id).collect::<Vec<_>>(), [("race", "g")], "what a member spawns");
}
