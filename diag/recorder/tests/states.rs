//! In which state each task is, since when, and on which thread.

mod named;

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use diag::task::{JoinSet, spawn_blocking};
use diag_snapshot::{Outcome, SiteKind, Snapshot, TaskId, TaskRow, TaskState, ZombieRow};
use named::{row, spawn};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

/// Two ticks of the slowest coarse clock, which most times are taken from.
const TICKS_US: u64 = 20_000;
/// Long enough to be told from ticks.
const A_WHILE: Duration = Duration::from_millis(60);

fn thread_id() -> u32 {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() as u32 }
}

fn one_worker() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// `time_us` lies between the two snapshots.
#[track_caller]
fn assert_between(before: &Snapshot, time_us: u64, after: &Snapshot) {
    let (from_us, to_us) = (before.capture.from_us.saturating_sub(TICKS_US), after.capture.to_us);
    assert!((from_us..=to_us).contains(&time_us), "{time_us} is not in {from_us}..={to_us}");
}

/// Hangs in a poll on one of the workers until it is dropped.
struct Hanging {
    thread: u32,
    _release: mpsc::Sender<()>,
}

impl Hanging {
    async fn start(name: &str) -> Self {
        let ((entered, enters), (_release, released)) = (oneshot::channel(), mpsc::channel());
        spawn(name, async move {
            entered.send(thread_id()).unwrap();
            released.recv().unwrap_err();
        });
        Hanging { thread: enters.await.unwrap(), _release }
    }
}

#[tokio::test]
async fn never_polled() {
    let before = diag::snapshot().into_model();
    let task = spawn("never polled", pending::<()>());
    let after = diag::snapshot().into_model();
    let row = row(&after, "never polled");
    let expected = TaskRow {
        id: row.id,
        site: row.site,
        name: row.name,
        spawned_us: row.spawned_us,
        handles: Some(1),
        ..TaskRow::default()
    };
    assert_eq!(row, expected, "nothing is known of it yet");
    assert_between(&before, row.spawned_us, &after);
    task.abort();
}

#[tokio::test]
async fn idle() {
    let before = diag::snapshot().into_model();
    spawn("idle", pending::<()>());
    yield_now().await;
    let between = diag::snapshot().into_model();
    std::thread::sleep(A_WHILE);
    let after = diag::snapshot().into_model();
    let row = row(&after, "idle");
    assert_eq!((row.state, row.polls, row.thread), (TaskState::Idle, 1, Some(thread_id())));
    assert_between(&before, row.state_since_us().expect("known"), &between);
}

#[test]
fn woken_while_the_worker_is_busy() {
    let runtime = one_worker();
    let (bell, before) = (Arc::new(Notify::new()), diag::snapshot().into_model());
    let (polled, polls) = mpsc::channel();
    let heard = Arc::clone(&bell);
    let hanging = runtime.block_on(async move {
        let (parked, parks) = oneshot::channel();
        spawn("woken", async move {
            parked.send(()).unwrap();
            heard.notified().await;
            polled.send(()).unwrap();
            pending::<()>().await;
        });
        parks.await.unwrap();
        Hanging::start("hanging").await
    });
    bell.notify_one();
    let between = diag::snapshot().into_model();
    let woken = row(&between, "woken");
    assert_eq!((woken.state, woken.polls, woken.wakes), (TaskState::Woken, 1, Some(1)));
    assert_eq!((woken.woken_by, woken.woken_by_thread), (None, Some(thread_id())));
    assert_between(&before, woken.state_since_us().expect("known"), &between);
    std::thread::sleep(A_WHILE);
    drop(hanging);
    polls.recv().unwrap();
    let after = diag::snapshot().into_model();
    let delays = after.poll_delays.iter().filter(|delay| delay.site == woken.site);
    let delays: Vec<u32> = delays.map(|delay| delay.bucket).collect();
    let at_least = (A_WHILE.as_millis() / 2).ilog2();
    assert!(delays.last() >= Some(&at_least), "the poll came {A_WHILE:?} after the wake: {delays:?}");
}

#[test]
fn polling() {
    let (runtime, before) = (one_worker(), diag::snapshot().into_model());
    let hanging = runtime.block_on(Hanging::start("polling"));
    let after = diag::snapshot().into_model();
    let row = row(&after, "polling");
    assert_eq!((row.state, row.polls, row.thread), (TaskState::Polling, 1, Some(hanging.thread)));
    assert_between(&before, row.state_since_us().expect("known"), &after);
}

#[test]
fn closures_wait_for_a_thread_and_then_run() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let ((entered, enters), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    let _inside = runtime.enter();
    spawn_blocking(move || {
        entered.send(thread_id()).unwrap();
        released.recv().unwrap_err();
    });
    let thread = enters.recv().unwrap();
    spawn_blocking(|| ());
    let snapshot = diag::snapshot().into_model();
    let is_closure = |row: &TaskRow| {
        snapshot.sites.get(row.site.0 as usize).is_some_and(|site| site.kind == Some(SiteKind::Blocking))
    };
    let closures = snapshot.tasks.iter().filter(is_closure).map(|row| (row.state, row.thread));
    let expected = [(TaskState::Polling, Some(thread)), (TaskState::NeverPolled, None)];
    assert_eq!(closures.collect::<Vec<_>>(), expected);
    drop(release);
}

fn zombie(id: TaskId) -> Option<ZombieRow> {
    diag::snapshot().into_model().zombies.iter().find(|zombie| zombie.id == id)
}

/// `handles, wakers` that hold it.
fn held(id: TaskId) -> Option<(u32, u32)> {
    zombie(id).map(|zombie| (zombie.handles, zombie.wakers))
}

#[tokio::test]
async fn held_by_handles_after_its_end() {
    let (before, ballast) = (diag::snapshot().into_model(), [0_u8; 1_000]);
    let task = spawn("done", async move { assert_eq!(ballast.len(), 1_000) });
    let id = row(&diag::snapshot().into_model(), "done").id;
    assert_eq!(zombie(id), None);
    yield_now().await;
    let (zombie, after) = (zombie(id).unwrap(), diag::snapshot().into_model());
    assert_eq!((zombie.outcome, held(id)), (Outcome::Done, Some((1, 0))));
    assert!(zombie.cell_bytes.unwrap() >= 1_000 && zombie.spawned_us <= zombie.ended_us);
    assert_between(&before, zombie.ended_us, &after);
    assert!(after.tasks.iter().all(|task| task.id != id), "it is not among the living");
    let handle = task.abort_handle();
    assert_eq!(held(id), Some((2, 0)));
    drop(task);
    assert_eq!(held(id), Some((1, 0)));
    drop(handle);
    assert_eq!(held(id), None);
}

#[tokio::test]
async fn held_by_a_waker_after_its_end() {
    let stolen = Arc::new(Mutex::new(None::<Waker>));
    let thief = Arc::clone(&stolen);
    spawn(
        "robbed",
        poll_fn(move |cx| match thief.lock().unwrap().replace(cx.waker().clone()) {
            None => Poll::Pending,
            Some(_) => Poll::Ready(()),
        }),
    );
    let id = row(&diag::snapshot().into_model(), "robbed").id;
    yield_now().await;
    stolen.lock().unwrap().as_ref().unwrap().wake_by_ref();
    yield_now().await;
    assert_eq!(held(id), Some((0, 1)));
    let waker = stolen.lock().unwrap().take().unwrap();
    let twin = waker.clone();
    assert_eq!(held(id), Some((0, 2)));
    waker.wake();
    assert_eq!(held(id), Some((0, 1)));
    drop(twin);
    assert_eq!(held(id), None);
}

#[tokio::test]
async fn held_by_a_set_after_its_end() {
    let mut set = JoinSet::new();
    let before = diag::snapshot().into_model();
    let line = line!() + 1;
    drop(set.spawn(async {}));
    yield_now().await;
    let after = diag::snapshot().into_model();
    let here = |zombie: &ZombieRow| after.site_location(zombie.site).contains(&format!("states.rs:{line}:"));
    let id = after.zombies.iter().find(here).unwrap().id;
    assert_eq!(held(id), Some((1, 0)));
    assert_between(&before, zombie(id).unwrap().ended_us, &after);
    set.join_next().await.unwrap().unwrap();
    assert_eq!(held(id), None);
}
