//! What the pages of one snapshot show besides its live tasks, by a file in which much is wrong.

mod site;

use diag_snapshot::{
    CancelBy, Outcome, ParkedRow, PollDelayRow, PollTimeRow, SiteIndex, Snapshot, StackIndex, TaskId,
    TaskRow, TaskState, ThreadRow, ZombieRow,
};
use diag_test_support::crowd::crowd;
use site::Folder;

/// Ten tasks of one site: one lost, one asked to stop, one that holds up a thread.
fn troubled() -> Snapshot {
    let mut snapshot = crowd(10, 1, 4);
    let now_us = snapshot.capture.to_us;
    let tasks = snapshot.tasks.iter().map(|task| match task.id.0 {
        1 => TaskRow { lost: Some(2), wakers: Some(0), handles: Some(0), ..task },
        2 => TaskRow { cancel_us: Some(now_us - 60_000_000), cancel_by: Some(CancelBy::Abort), ..task },
        3 => TaskRow { state: TaskState::Polling, last_poll_us: Some(now_us - 2_000_000), ..task },
        4 => TaskRow { state: TaskState::Woken, woken_us: Some(now_us), woken_by_thread: Some(99), ..task },
        _ => task,
    });
    snapshot.tasks = tasks.collect();
    let site = SiteIndex(0);
    snapshot.parked.push(ParkedRow { task: TaskId(5), stack: StackIndex(1) });
    snapshot.poll_times.push(PollTimeRow { site, bucket: 3, count: 16 });
    snapshot.poll_delays.push(PollDelayRow { site, bucket: 4, count: 2 });
    let name = Some(snapshot.strings.intern("worker <3>"));
    let (task, stack) = (Some(TaskId(3)), Some(StackIndex(2)));
    let (watched_us, cpu_us, wait_us) = (Some(20_000), Some(20_000), Some(0));
    snapshot.threads.push(ThreadRow {
        tid: 77,
        name,
        task,
        watched_us,
        cpu_us,
        wait_us,
        state: Some('R'),
        stack,
    });
    let zombie = |id| ZombieRow {
        id: TaskId(id),
        site,
        outcome: Outcome::Done,
        spawned_us: 0,
        ended_us: now_us / 2,
        handles: 1,
        wakers: 0,
        cell_bytes: Some(1 << 20),
        ..ZombieRow::default()
    };
    snapshot.zombies = (100..120).map(zombie).collect();
    snapshot
}

#[tokio::test]
async fn one_snapshot_shows_what_needs_no_other() {
    let folder = Folder::new("one-snapshot");
    let id = folder.write("a.diag", &troubled());
    let viewer = folder.viewer();
    let tasks = viewer.page(&format!("/s/{id}/tasks")).await;
    for says in [
        "<b>stuck, proven:</b> 1 task at",
        "<b>runaway, proven:</b> 1 task at",
        "<b>retention, proven:</b> 20 tasks, 20 MiB at",
        "worker &#60;3&#62;<small>77</small>",
        "Ended, but memory is still held",
    ] {
        assert!(tasks.contains(says), "{says:?} is not in\n{tasks}");
    }
    let site = viewer.page(&format!("/s/{id}/site/0")).await;
    for says in [
        "nothing can wake it",
        "asked to stop 1 min ago by abort",
        "<small>by thread 99</small>",
        "Where they wait",
        "<td class=\"n strong\">8</td>",
        "Inside of a poll",
        "From being woken to being polled",
    ] {
        assert!(site.contains(says), "{says:?} is not in\n{site}");
    }
    let woken = viewer.json(&format!("/api/v1/s/{id}/site/0?state=woken")).await;
    assert_eq!((&woken["matching_tasks"], &woken["tasks"][0]["id"]), (&1.into(), &"4".into()));
}

#[tokio::test]
async fn a_healthy_snapshot_shows_none_of_it() {
    let folder = Folder::new("one-healthy-snapshot");
    let mut healthy = crowd(10, 1, 4);
    healthy.tasks = healthy.tasks.iter().map(|task| TaskRow { state: TaskState::Idle, ..task }).collect();
    let id = folder.write("a.diag", &healthy);
    let viewer = folder.viewer();
    let json = viewer.json(&format!("/api/v1/s/{id}/tasks")).await;
    for list in ["findings", "threads", "zombies"] {
        assert_eq!(json[list], serde_json::json!([]), "{list}");
    }
    assert!(!viewer.page(&format!("/s/{id}/tasks")).await.contains("held up"));
}
