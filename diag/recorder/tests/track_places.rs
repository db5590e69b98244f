//! Where a future inside of a task waits is known as of a task, whoever polls it.
#![cfg(all(feature = "heap", target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, reason = "no end is asked for here")]
mod seen;

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use diag::task::track;
use diag_analysis::Analysis;
use diag_snapshot::{Snapshot, TaskId};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use seen::seen;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[test]
fn places() {
    let diag = diag::Builder::new().env(false).agent(false).stderr(false);
    diag.heap(diag::HeapMode::Full).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        in_tasks_of_either_kind().await;
        in_a_collection().await;
        in_each_other().await;
        what_wakes_what_it_replaces().await;
        whose_memory_it_is().await;
    });
}

fn places_of(snapshot: &Snapshot) -> BTreeMap<TaskId, String> {
    let analysis = Analysis::new(snapshot.clone());
    let await_points = analysis.await_points();
    await_points.answers().map(|(task, place)| (task, place.to_owned())).collect()
}

/// Where the only task of each of these lines waits, once all do.
async fn check(expected: &[(u32, &str)]) {
    sleep(Duration::from_millis(50)).await;
    let snapshot = diag::snapshot().into_model();
    let places = places_of(&snapshot);
    for (line, expected) in expected {
        let live = seen(&snapshot, file!(), *line).live;
        assert_eq!(live.len(), 1, "line {line}");
        assert_eq!(places.get(&live[0].id).map(String::as_str), Some(*expected), "line {line}");
    }
}

async fn answers() {
    let (_value, answer) = oneshot::channel::<()>();
    _ = answer.await;
}
const ANSWER: u32 = line!() - 2;

async fn in_tasks_of_either_kind() {
    let place = format!("oneshot at {}:{ANSWER}", file!());
    let line = line!();
    let recorded = diag::spawn(async {
        track(answers()).await;
    });
    let of_a_library = tokio::spawn(async {
        track(answers()).await;
    });
    check(&[(line + 1, &place), (line + 2, &place), (line + 5, &place)]).await;
    let snapshot = diag::snapshot().into_model();
    let parent = |line| seen(&snapshot, file!(), line).live[0].parent;
    let task = |id: tokio::task::Id| {
        let id = id.to_string().parse().ok();
        // What is inside of a task has the task's id of tokio as well.
        let task =
            snapshot.tasks.iter().filter(|task| task.tokio_id == id).find(|task| task.parent.is_none());
        task.map(|task| task.id)
    };
    assert_eq!((parent(line + 2), parent(line + 5)), (task(recorded.id()), task(of_a_library.id())));
    assert!(parent(line + 5).is_some());
    recorded.abort();
    of_a_library.abort();
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Its children are woken by wakers of its own.
async fn in_a_collection() {
    let line = line!();
    let task = diag::spawn(async {
        let (_value, mut orders) = mpsc::channel::<u8>(1);
        let mut children: FuturesUnordered<Boxed> = FuturesUnordered::new();
        children.push(Box::pin(track(async move { _ = orders.recv().await })));
        let stop = Notify::new();
        children.push(Box::pin(track(stop_or_sleep(stop))));
        while children.next().await.is_some() {}
    });
    let select = format!("select of notify, timer at {}:{SELECT}", file!());
    check(&[(line + 4, &format!("mpsc recv at {}:{}", file!(), line + 4)), (line + 6, &select)]).await;
    task.abort();
}

#[rustfmt::skip]
async fn stop_or_sleep(stop: Notify) {
    tokio::select! { () = sleep(Duration::from_secs(3_600)) => {}, () = stop.notified() => {} }
}
const SELECT: u32 = line!() - 2;

async fn in_each_other() {
    let place = format!("oneshot at {}:{ANSWER}", file!());
    let line = line!();
    let task = tokio::spawn(async {
        let outer = track(async {
            track(answers()).await;
        });
        outer.await;
    });
    check(&[(line + 2, &place), (line + 3, &place)]).await;
    task.abort();
}

/// A leaf that wakes the waker that it replaces, as that of a `want` channel does.
struct Wakes(Option<Waker>);

impl Future for Wakes {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.0.as_ref().is_some_and(|waker| waker.will_wake(context.waker()))
            && let Some(replaced) = self.0.replace(context.waker().clone())
        {
            replaced.wake();
        }
        Poll::Pending
    }
}

async fn what_wakes_what_it_replaces() {
    static POLLS: AtomicU64 = AtomicU64::new(0);
    let task = tokio::spawn(async {
        let mut wakes = Wakes(None);
        let polled = poll_fn(|cx| {
            POLLS.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut wakes).poll(cx)
        });
        // So that it is polled again after long rests.
        tokio::select! {
            () = track(polled) => {},
            () = async { loop { sleep(Duration::from_millis(510)).await } } => {}
        }
    });
    sleep(Duration::from_millis(1_700)).await;
    let polls = POLLS.load(Ordering::Relaxed);
    assert!((4..50).contains(&polls), "{polls} polls, of which the timer brought 4");
    task.abort();
}

/// What is allocated inside of a task that nobody recorded.
async fn whose_memory_it_is() {
    let line = line!() + 2;
    let task = tokio::spawn(async {
        track(async {
            let held = vec![1_u8; 1 << 20];
            pending::<()>().await;
            drop(held);
        })
        .await;
    });
    sleep(Duration::from_millis(50)).await;
    let snapshot = diag::snapshot().into_model();
    let id = seen(&snapshot, file!(), line).live[0].id;
    let held = snapshot.held_bytes();
    let of_it: f64 =
        snapshot.tasks.iter().zip(&held).filter(|(task, _)| task.id == id).map(|(_, held)| held).sum();
    assert!(of_it >= f64::from(1 << 20), "{of_it} bytes");
    task.abort();
}
