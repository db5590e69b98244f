//! What captures do to the service: nothing, also to leaves that do not forgive a poll too many. Of those with a place
//! for one waker the proof `one_waker` tells more.

mod named;

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use diag_snapshot::{Snapshot, TaskRow, TaskState};
use diag_test_support::eventually::eventually;
use named::{row, spawn};
use tokio::runtime::{Builder, Runtime};
use tokio::time::interval;

const PATIENCE: Duration = Duration::from_secs(20);

/// Two workers, and what a capture needs to know where tasks are parked. Whichever test is first starts it.
fn runtime() -> Runtime {
    // The other tests wait until it is started.
    static STARTED: Once = Once::new();
    STARTED.call_once(|| diag::Builder::new().agent(false).init());
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Waits until the task of this name is idle.
#[track_caller]
fn idle(name: &str) {
    eventually(PATIENCE, "it is idle", || {
        let snapshot = diag::snapshot().into_model();
        let is_it = |task: &TaskRow| task.name.and_then(|own| snapshot.strings.get(own)) == Some(name);
        let states: Vec<_> = snapshot.tasks.iter().filter(is_it).map(|task| task.state).collect();
        if states.contains(&TaskState::Idle) { Ok(()) } else { Err(states) }
    });
}

/// A place for one waker that wakes the one it replaces, as the channel of hyper's client has.
#[derive(Default)]
struct WakesReplaced(Mutex<Option<Waker>>);

impl WakesReplaced {
    fn poll(&self, cx: &mut Context<'_>) {
        let mut place = self.0.lock().expect("nobody panics");
        if !place.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            let replaced = place.replace(cx.waker().clone());
            drop(place);
            replaced.into_iter().for_each(Waker::wake);
        }
    }
}

#[test]
fn a_leaf_that_wakes_what_it_replaces_costs_one_poll_a_wake() {
    const TICKS: u64 = 300;
    let polls = Arc::new(AtomicU64::new(0));
    let counted = polls.clone();
    runtime().block_on(async {
        let task = spawn("wants", async move {
            let (place, mut ticks, mut left) =
                (WakesReplaced::default(), interval(Duration::from_millis(1)), TICKS);
            poll_fn(|cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                place.poll(cx);
                while ticks.poll_tick(cx).is_ready() {
                    left = left.saturating_sub(1);
                }
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        task.await.expect("it ends");
    });
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 2 * TICKS + 4, "{polls} polls for {TICKS} ticks");
}

fn lost(snapshot: &Snapshot, name: &str) -> Option<u32> {
    row(snapshot, name).lost
}

#[test]
fn a_lost_task_stays_lost_however_often_it_is_looked_at() {
    let runtime = runtime();
    let _inside = runtime.enter();
    spawn("lost", pending::<()>());
    idle("lost");
    for _ in 0..100 {
        let snapshot = diag::snapshot().into_model();
        assert_eq!((lost(&snapshot, "lost"), row(&snapshot, "lost").polls), (Some(2), 1));
    }
}

/// Keeps a waker, and takes its time to drop what comes after that.
struct SlowDrop(Option<Waker>, Arc<AtomicBool>);

impl Drop for SlowDrop {
    fn drop(&mut self) {
        self.0 = None;
        self.1.store(true, Ordering::Release);
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_task_that_is_dropped_slowly_is_not_lost() {
    let runtime = runtime();
    let dropping = Arc::new(AtomicBool::new(false));
    let mut kept = SlowDrop(None, dropping.clone());
    let _inside = runtime.enter();
    let keeps = poll_fn(move |cx| -> Poll<()> {
        kept.0.get_or_insert_with(|| cx.waker().clone());
        Poll::Pending
    });
    let task = spawn("slow", keeps);
    idle("slow");
    // tokio's own, of which the record does not know.
    task.into_tokio().abort();
    eventually(PATIENCE, "it is dropped", || {
        if dropping.load(Ordering::Acquire) { Ok(()) } else { Err(diag::snapshot().live_tasks()) }
    });
    let mut looks = 0;
    loop {
        let snapshot = diag::snapshot().into_model();
        let name = |task: &TaskRow| task.name.and_then(|name| snapshot.strings.get(name));
        let Some(slow) = snapshot.tasks.iter().find(|task| name(task) == Some("slow")) else { break };
        assert_eq!(slow.lost, None, "{slow:?}");
        looks += 1;
    }
    assert!(looks > 0);
}
