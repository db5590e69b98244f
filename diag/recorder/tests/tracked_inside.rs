//! A future that is tracked inside of a task that a library spawned: the task counts once, and the future is its child, with the
//! line where it waits.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::time::Duration;

use diag::task::track;
use diag_analysis::Analysis;
use diag_snapshot::{SiteKind, TaskId};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

static BELL: Notify = Notify::const_new();

async fn handle() {
    BELL.notified().await;
}
const AWAIT: u32 = line!() - 2;

#[tokio::test]
async fn a_tracked_future_inside_of_a_librarys_task_is_its_child_and_has_its_await() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let tracked: Vec<_> = (0..5).map(|_| tokio::spawn(track(handle()))).collect();
    let untracked = tokio::spawn(handle());
    sleep(Duration::from_millis(60)).await;
    let snapshot = diag::snapshot().into_model();
    let alive = Handle::current().metrics().num_alive_tasks() as u64;
    assert_eq!((snapshot.tracked_tasks(), alive), (6, 6), "the futures inside are no more tasks");

    let kind = |id: TaskId| {
        let task = snapshot.task(id).expect("it lives");
        snapshot.sites.get(task.site.0 as usize).and_then(|site| site.kind)
    };
    let futures: Vec<_> =
        snapshot.tasks.iter().filter(|task| kind(task.id) == Some(SiteKind::Future)).collect();
    assert_eq!(futures.len(), 5);
    for future in &futures {
        let parent = future.parent.expect("the task that polls it");
        assert_eq!(kind(parent), Some(SiteKind::Library));
        let id = snapshot.task(parent).and_then(|task| task.tokio_id);
        assert_eq!(id, future.tokio_id, "they are polled as one");
    }
    let is_parent = |id: TaskId| futures.iter().any(|future| future.parent == Some(id));
    let of_library = snapshot.tasks.iter().filter(|task| kind(task.id) == Some(SiteKind::Library));
    assert_eq!(of_library.filter(|task| is_parent(task.id)).count(), 5, "and one has none inside");

    let views: Vec<_> = Analysis::new(snapshot.clone()).task_views().collect();
    let place = format!("notify at {}:{AWAIT}", file!());
    let waiting = views.iter().filter(|task| task.waiting_at.as_ref() == Some(&place)).count();
    assert_eq!(waiting, 5, "{views:#?}");
    BELL.notify_waiters();
    for task in tracked {
        task.await.expect("it ends");
    }
    untracked.await.expect("it ends");
}
