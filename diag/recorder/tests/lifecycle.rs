//! Every way a task can end is told apart, and a live one shows what it did.

mod seen;

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use diag_snapshot::{Outcome, TaskState};
use diag_test_support::eventually::Patience;
use seen::{Seen, seen};
use tokio::task::{LocalSet, yield_now};

fn at(line: u32) -> Seen {
    seen(&diag::snapshot().into_model(), file!(), line)
}

/// `done, cancelled, panicked, never polled` of a site.
fn ends(seen: &Seen) -> [u64; 4] {
    [seen.site.done, seen.site.cancelled, seen.site.panicked, seen.site.never_polled]
}

#[tokio::test]
async fn done() {
    let (line, task) = (line!(), diag::spawn(async { 7 }));
    assert_eq!(task.await.unwrap(), 7);
    let seen = at(line);
    assert_eq!((seen.site.spawned, ends(&seen), seen.live.len()), (1, [1, 0, 0, 0], 0));
    assert_eq!((seen.ends[0].outcome, seen.ends[0].polls), (Outcome::Done, 1));
}

#[tokio::test]
async fn cancelled() {
    let (line, task) = (line!(), diag::spawn(pending::<()>()));
    yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(ends(&at(line)), [0, 1, 0, 0]);
}

#[tokio::test]
async fn aborted_before_the_first_poll() {
    let (line, task) = (line!(), diag::spawn(pending::<()>()));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(ends(&at(line)), [0, 0, 0, 1]);
}

#[tokio::test]
async fn panicked() {
    let (line, task) = (line!(), diag::spawn(async { panic!("on purpose") }));
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(ends(&at(line)), [0, 0, 1, 0]);
}

#[tokio::test]
async fn panicked_in_a_later_poll_and_the_thread_is_clean_after() {
    let later = async {
        yield_now().await;
        panic!("on purpose");
    };
    let (line, task) = (line!(), diag::spawn(later));
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(ends(&at(line)), [0, 0, 1, 0]);
    let (line, orphan) = (line!(), diag::spawn(pending::<()>()));
    assert_eq!(at(line).live[0].parent, None, "a panicked poll must not stay the current task");
    orphan.abort();
}

#[tokio::test]
async fn dropped_by_a_parent_that_panics_is_cancelled() {
    let line = line!() + 2;
    let parent = diag::spawn(async {
        let child = AbortOnDrop(diag::spawn(pending::<()>()));
        yield_now().await;
        let _child = child;
        panic!("on purpose");
    });
    assert!(parent.await.unwrap_err().is_panic());
    // The child is dropped by the runtime, a moment after the parent's handle is told.
    let patience = Patience::new(Duration::from_secs(60));
    while !at(line).live.is_empty() {
        patience.check("the child has ended", at(line).live);
        yield_now().await;
    }
    assert_eq!(ends(&at(line)), [0, 1, 0, 0]);
}

struct AbortOnDrop(diag::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[test]
fn dropped_with_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let line = line!() + 2;
    runtime.block_on(async {
        diag::spawn(pending::<()>());
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(ends(&at(line)), [0, 1, 0, 0]);
}

#[tokio::test]
async fn dropped_with_a_local_set() {
    let line = line!() + 4;
    let set = LocalSet::new();
    set.run_until(async {
        let not_send = std::rc::Rc::new(());
        diag::task::spawn_local(async move { (pending::<()>().await, not_send).0 });
        yield_now().await;
    })
    .await;
    drop(set);
    assert_eq!(ends(&at(line)), [0, 1, 0, 0]);
}

#[tokio::test]
async fn a_future_dropped_unspawned_was_never_polled() {
    let line = line!() + 2;
    let no_runtime = std::thread::spawn(|| {
        diag::spawn(async {});
    });
    assert!(no_runtime.join().is_err(), "tokio panics outside of a runtime");
    assert_eq!(ends(&at(line)), [0, 0, 0, 1]);
}

#[tokio::test]
async fn the_end_is_recorded_before_the_handle_is_told() {
    for _ in 0..1_000 {
        let (line, task) = (line!(), diag::spawn(async {}));
        task.await.unwrap();
        assert_eq!(at(line).live.len(), 0);
    }
}

#[tokio::test]
async fn a_live_task_shows_its_life() {
    let line = line!() + 1;
    let task = diag::task::Builder::new().name("the one").spawn(async {
        for _ in 0..3 {
            yield_now().await;
        }
        pending::<()>().await
    });
    let task = task.unwrap();
    let shown: u64 = task.id().to_string().parse().unwrap();
    let never = at(line).live[0];
    assert_eq!((never.state, never.polls, never.last_poll_us), (TaskState::NeverPolled, 0, None));
    for _ in 0..5 {
        yield_now().await;
    }
    let snapshot = diag::snapshot().into_model();
    let row = seen(&snapshot, file!(), line).live[0];
    assert_eq!((row.state, row.polls, row.tokio_id), (TaskState::Idle, 4, Some(shown)));
    assert_eq!(row.name.and_then(|name| snapshot.strings.get(name)), Some("the one"));
    assert!(row.last_poll_us.is_some_and(|last| last >= row.spawned_us));
    task.abort();
}

#[tokio::test]
async fn a_child_names_its_parent_even_from_a_destructor() {
    struct SpawnOnDrop;
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            diag::spawn(pending::<()>());
        }
    }
    let from_drop = line!() - 3;
    let parent = line!() + 1;
    let task = diag::spawn(async move {
        let _on_drop = SpawnOnDrop;
        pending::<()>().await
    });
    yield_now().await;
    let parent = at(parent).live[0];
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let snapshot = diag::snapshot().into_model();
    let child = seen(&snapshot, file!(), from_drop).live[0];
    assert_eq!((child.parent, child.parent_site), (Some(parent.id), Some(parent.site)));
}

#[tokio::test]
async fn a_long_poll_is_known_by_its_length() {
    let (line, long) = (line!(), Duration::from_millis(60));
    let task = diag::spawn(async move { std::thread::sleep(long) });
    task.await.unwrap();
    let seen = at(line + 1);
    let (longest, busy) = (seen.site.longest_poll_ns, seen.site.busy_ns);
    assert!(longest >= 50_000_000 && busy >= 50_000_000, "{longest} {busy}");
}

#[tokio::test]
async fn a_poll_under_way_shows_as_polling() {
    let line = line!() + 1;
    let task = diag::spawn(poll_fn(move |_| {
        assert_eq!(at(line).live[0].state, TaskState::Polling);
        Poll::Ready(())
    }));
    task.await.unwrap();
}
