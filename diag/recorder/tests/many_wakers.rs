//! Counts that no service comes to, and what happens then: the task goes on, and nothing stays behind.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use diag_snapshot::{Snapshot, TaskState};
use tokio::task::yield_now;

/// More than are counted.
const WAKERS: usize = 5_000_000;
const HANDLES: usize = 40_000;

async fn settled(is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    for _ in 0..10_000 {
        let snapshot = diag::snapshot().into_model();
        if is_so(&snapshot) {
            return snapshot;
        }
        yield_now().await;
    }
    panic!("it does not come to that: {:#?}", diag::snapshot().into_model().tasks);
}

#[tokio::test]
async fn a_task_with_millions_of_wakers_is_woken_and_ends() {
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let polls = Arc::new(AtomicU64::new(0));
    let (kept, counted) = (wakers.clone(), polls.clone());
    let task = diag::spawn(poll_fn(move |cx| {
        let polls = counted.fetch_add(1, Ordering::Relaxed);
        if polls == 0 {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend((0..WAKERS).map(|_| cx.waker().clone()));
        }
        if polls == 5 { Poll::Ready(()) } else { Poll::Pending }
    }));
    let snapshot = settled(|snapshot| snapshot.tasks.iter().any(|task| task.state == TaskState::Idle)).await;
    let row = snapshot.tasks.iter().next().expect("one task");
    // Nobody says how many there are, and so nobody says that there are none.
    assert_eq!((row.wakers, row.lost), (None, None));
    for poll in 1..=5 {
        assert_eq!(polls.load(Ordering::Relaxed), poll);
        // One that is counted, or one that is not.
        let waker = wakers.lock().expect("nobody panics")[if poll % 2 == 0 { 0 } else { WAKERS - 1 }].clone();
        waker.wake();
        for _ in 0..3 {
            yield_now().await;
        }
    }
    task.await.expect("it ends");
    assert_eq!(diag::snapshot().into_model().zombies.len(), 1, "the wakers hold it");
    wakers.lock().expect("nobody panics").clear();
    assert_eq!(diag::snapshot().into_model().zombies.len(), 0);
}

#[tokio::test]
async fn a_task_with_thousands_of_handles_ends_and_is_given_back() {
    let task = diag::spawn(std::future::pending::<()>());
    let handles: Vec<_> = (0..HANDLES).map(|_| task.abort_handle()).collect();
    let clones: Vec<_> = handles.iter().take(HANDLES / 2).cloned().collect();
    handles[HANDLES - 1].abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    assert!(handles.iter().chain(&clones).all(|handle| handle.is_finished()));
    drop((handles, clones));
    settled(|snapshot| snapshot.zombies.is_empty()).await;
}
