//! A runtime's main future is recorded as a task is: where it waits, what it spawns, and how it ends.
#![cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, reason = "no end is asked for here")]
mod seen;

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use diag_analysis::Analysis;
use diag_snapshot::{SiteKind, Snapshot, TaskState};
use seen::seen;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::yield_now;

fn of_one_thread() -> Runtime {
    // The other tests wait until it is started.
    static STARTED: Once = Once::new();
    STARTED.call_once(|| diag::Builder::new().env(false).agent(false).stderr(false).init());
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Taken on another thread, once the main future waits.
async fn snapshot_while_waiting() -> Snapshot {
    let (send, taken) = oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        _ = send.send(diag::snapshot().into_model());
    });
    taken.await.expect("it is taken")
}
const AWAIT: u32 = line!() - 2;

#[test]
fn where_it_waits_and_what_it_spawns() {
    let runtime = of_one_thread();
    let (line, spawned) = (line!() + 1, line!() + 2);
    let snapshot = diag::block_on(&runtime, async {
        drop(diag::spawn(pending::<()>()));
        yield_now().await;
        snapshot_while_waiting().await
    });
    let (main, child) = (seen(&snapshot, file!(), line), seen(&snapshot, file!(), spawned));
    let row = main.live[0];
    assert_eq!((main.site.kind, row.state), (Some(SiteKind::Future), TaskState::Idle));
    assert_eq!((row.polls, row.parent, child.live[0].parent), (2, None, Some(row.id)));
    let analysis = Analysis::new(snapshot);
    let await_points = analysis.await_points();
    let place = await_points.answers().find(|(task, _)| *task == row.id).map(|(_, place)| place);
    assert_eq!(place, Some(format!("oneshot at {}:{AWAIT}", file!()).as_str()));
    let main = seen(&diag::snapshot().into_model(), file!(), line);
    assert_eq!((main.site.done, main.live.len()), (1, 0));
}

#[test]
fn a_panic_ends_it() {
    let runtime = of_one_thread();
    let line = line!() + 2;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        diag::block_on(&runtime, async {
            yield_now().await;
            panic!("as expected");
        })
    }));
    panicked.expect_err("it panicked");
    let main = seen(&diag::snapshot().into_model(), file!(), line);
    assert_eq!((main.site.panicked, main.site.done, main.live.len()), (1, 0, 0));
    assert_eq!(diag::block_on(&runtime, async { 42 }), 42, "the thread goes on");
}

#[test]
fn what_is_dropped_unfinished_is_cancelled() {
    let runtime = of_one_thread();
    let line = line!() + 2;
    let stopped = runtime.block_on(async {
        let forever = diag::task::track(pending::<()>());
        tokio::time::timeout(Duration::from_millis(5), forever).await
    });
    stopped.expect_err("nothing ends it");
    let main = seen(&diag::snapshot().into_model(), file!(), line);
    assert_eq!((main.site.cancelled, main.site.done, main.live.len()), (1, 0, 0));
}
