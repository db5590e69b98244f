//! Who can wake a task, who did, and which tasks nothing can wake.

mod named;

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use diag_snapshot::{Snapshot, TaskId, TaskRow, TaskState};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use named::{row, spawn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking, yield_now};
use tokio::time::{interval, sleep, timeout};

type Leaf = Pin<Box<dyn Future<Output = ()> + Send>>;

const LONG: Duration = Duration::from_secs(3_600);

/// A snapshot that has tasks polled, from a thread that polls nothing, so that tasks of this runtime can answer.
async fn asking() -> Snapshot {
    spawn_blocking(|| diag::snapshot_asking().into_model()).await.unwrap()
}

/// What a snapshot needs to know where tasks are parked. Whichever test is first; the others find it done.
fn start() {
    diag::Builder::new().agent(false).init();
}

/// Every kind of thing to wait for, and how many wakers a task that waits for it has given away.
async fn leaves() -> Vec<(&'static str, u32, Leaf)> {
    vec![
        ("sleep", 1, Box::pin(sleep(LONG))),
        ("interval", 1, Box::pin(interval_leaf())),
        ("mpsc recv", 1, Box::pin(mpsc_recv())),
        ("mpsc send", 1, Box::pin(mpsc_send())),
        ("oneshot", 1, Box::pin(oneshot_leaf())),
        ("notify", 1, Box::pin(async { Notify::new().notified().await })),
        ("watch", 1, Box::pin(watch_leaf())),
        ("broadcast", 1, Box::pin(broadcast_leaf())),
        ("semaphore", 1, Box::pin(async { drop(Semaphore::new(0).acquire().await) })),
        ("mutex", 1, Box::pin(mutex_leaf())),
        ("rwlock read", 1, Box::pin(rwlock_read())),
        ("rwlock write", 1, Box::pin(rwlock_write())),
        ("barrier", 1, Box::pin(async { _ = Barrier::new(2).wait().await })),
        ("tcp accept", 1, Box::pin(tcp_accept())),
        ("tcp read", 1, Box::pin(tcp_read())),
        ("tcp write", 1, Box::pin(tcp_write())),
        ("duplex read", 1, Box::pin(duplex_read())),
        ("duplex write", 1, Box::pin(duplex_write())),
        ("join", 1, Box::pin(async { drop(tokio::spawn(pending::<()>()).await) })),
        ("join set", 1, Box::pin(join_set())),
        ("select of two", 2, Box::pin(select_of_two())),
        ("timeout", 2, Box::pin(async { drop(timeout(LONG, sleep(LONG)).await) })),
        ("join of two", 2, Box::pin(async { _ = tokio::join!(sleep(LONG), sleep(LONG)) })),
        ("join_all of three", 3, Box::pin(async { drop(join_all([LONG; 3].map(sleep)).await) })),
        ("FuturesUnordered of three", 1, Box::pin(unordered_of_three())),
    ]
}

async fn interval_leaf() {
    let mut ticks = interval(LONG);
    ticks.tick().await;
    ticks.tick().await;
}

async fn mpsc_recv() {
    let (_sender, mut receiver) = mpsc::channel::<()>(1);
    receiver.recv().await;
}

async fn mpsc_send() {
    let (sender, _receiver) = mpsc::channel(1);
    sender.send(()).await.unwrap();
    sender.send(()).await.unwrap();
}

async fn oneshot_leaf() {
    let (_sender, receiver) = oneshot::channel::<()>();
    receiver.await.unwrap();
}

async fn watch_leaf() {
    let (_sender, mut receiver) = watch::channel(());
    receiver.changed().await.unwrap();
}

async fn broadcast_leaf() {
    let (_sender, mut receiver) = broadcast::channel::<()>(1);
    receiver.recv().await.unwrap();
}

async fn mutex_leaf() {
    let mutex = Mutex::new(());
    let _held = mutex.lock().await;
    let _never = mutex.lock().await;
}

async fn rwlock_read() {
    let lock = RwLock::new(());
    let _held = lock.write().await;
    let _never = lock.read().await;
}

async fn rwlock_write() {
    let lock = RwLock::new(());
    let _held = lock.read().await;
    let _never = lock.write().await;
}

/// Both ends of a connection over loopback.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(addr), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

async fn tcp_accept() {
    TcpListener::bind("127.0.0.1:0").await.unwrap().accept().await.unwrap();
}

async fn tcp_read() {
    let (mut client, _server) = connection().await;
    client.read_u8().await.unwrap();
}

async fn tcp_write() {
    let (mut client, _server) = connection().await;
    client.write_all(&vec![0; 64 << 20]).await.unwrap();
}

async fn duplex_read() {
    let (mut ours, _theirs) = tokio::io::duplex(1);
    ours.read_u8().await.unwrap();
}

async fn duplex_write() {
    let (mut ours, _theirs) = tokio::io::duplex(1);
    ours.write_all(&[0; 2]).await.unwrap();
}

async fn join_set() {
    let mut set = JoinSet::new();
    set.spawn(pending::<()>());
    set.join_next().await;
}

async fn select_of_two() {
    tokio::select! {
        () = sleep(LONG) => {}
        () = mpsc_recv() => {}
    }
}

async fn unordered_of_three() {
    let mut children: FuturesUnordered<_> = (0..3).map(|_| sleep(LONG)).collect();
    children.next().await;
}

/// Snapshots until something is seen, far more than it should take.
const LOOKS: usize = 500;

/// Spawns them all, and waits until each rests at its leaf: connections take a few turns of the driver.
async fn park_all() -> Vec<(&'static str, u32)> {
    start();
    let mut parked = Vec::new();
    for (name, wakers, leaf) in leaves().await {
        spawn(name, leaf);
        parked.push((name, wakers));
    }
    let mut not_yet = Vec::new();
    for _ in 0..LOOKS {
        yield_now().await;
        let snapshot = diag::snapshot().into_model();
        not_yet = parked.clone();
        not_yet.retain(|(name, wakers)| {
            let row = row(&snapshot, name);
            (row.state, row.wakers) != (TaskState::Idle, Some(*wakers))
        });
        if not_yet.is_empty() {
            return parked;
        }
    }
    panic!("these do not come to hold so many wakers: {not_yet:?}");
}

/// A snapshot that all of them answered, so that none is still being polled for it. On a busy machine some
/// are too late for most.
async fn answered(parked: &[(&str, u32)]) -> Snapshot {
    for _ in 0..LOOKS {
        let snapshot = asking().await;
        let late = snapshot.capture.parked.as_ref().unwrap().timed_out;
        let is_there = |task| snapshot.parked.iter().any(|parked| parked.task == task);
        if late == 0 && parked.iter().all(|(name, _)| is_there(row(&snapshot, name).id)) {
            return snapshot;
        }
    }
    panic!("the tasks do not say where they are");
}

async fn each_leaf_holds_its_wakers_and_no_look_changes_anything() {
    let parked = park_all().await;
    let looks = [
        diag::snapshot().into_model(),
        diag::snapshot().into_model(),
        answered(&parked).await,
        answered(&parked).await,
    ];
    for (name, wakers) in parked {
        let before = row(&looks[0], name);
        assert_eq!((name, before.wakers, before.lost), (name, Some(wakers), None));
        for look in &looks[1..] {
            let after = row(look, name);
            assert_eq!(TaskRow { name: before.name, ..after }, before, "{name}, before and after a look");
        }
    }
}

#[test]
fn each_leaf_on_one_thread_and_on_two() {
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(each_leaf_holds_its_wakers_and_no_look_changes_anything());
    drop(one);
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    two.block_on(each_leaf_holds_its_wakers_and_no_look_changes_anything());
}

/// Takes a waker at each poll and drops it.
fn forgets_its_waker() -> impl Future<Output = ()> {
    poll_fn(|cx: &mut Context<'_>| {
        drop(cx.waker().clone());
        Poll::Pending
    })
}

#[tokio::test]
async fn what_nothing_can_wake_is_proven_lost() {
    spawn("pending", pending::<()>());
    spawn("forgetful", forgets_its_waker());
    let (sender, mut receiver) = mpsc::channel::<()>(1);
    spawn("receiver", async move { receiver.recv().await });
    let guard = spawn("guard", pending::<()>());
    let also = guard.abort_handle();
    yield_now().await;
    for snapshot in &[diag::snapshot().into_model(), diag::snapshot().into_model()] {
        for (name, wakers, handles, lost) in [
            ("pending", 0, 0, Some(2)),
            ("forgetful", 0, 0, Some(2)),
            ("receiver", 1, 0, None),
            ("guard", 0, 2, Some(2)),
        ] {
            let row = row(snapshot, name);
            assert_eq!((name, row.wakers, row.handles, row.lost), (name, Some(wakers), Some(handles), lost));
            assert_eq!((row.state, row.polls, row.wakes), (TaskState::Idle, 1, Some(0)));
        }
    }
    let asked = asking().await;
    assert_eq!(row(&asked, "pending").lost, Some(0), "the poll that was asked for could be an owed one");
    drop((also, guard, sender));
    assert_eq!(row(&diag::snapshot().into_model(), "guard").handles, Some(0));
}

/// A place for one waker, as a socket's readiness is: who comes takes it from who was there.
#[derive(Clone, Default)]
struct OneWaker(Arc<std::sync::Mutex<Option<Waker>>>);

impl OneWaker {
    async fn wait(self) {
        poll_fn(|cx| {
            *self.0.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[tokio::test]
async fn a_task_whose_waker_was_replaced_is_lost_and_by_whom_is_known() {
    let place = OneWaker::default();
    spawn("victim", place.clone().wait());
    yield_now().await;
    spawn("taker", place.wait());
    yield_now().await;
    let snapshot = diag::snapshot().into_model();
    let (victim, taker) = (row(&snapshot, "victim"), row(&snapshot, "taker"));
    assert_eq!(
        (victim.lost, victim.displaced_by, victim.displaced_by_site),
        (Some(2), Some(taker.id), Some(taker.site))
    );
    assert_eq!((taker.lost, taker.displaced_by), (None, None));
}

/// Of all that was spawned at the row's line.
fn rescued(snapshot: &Snapshot, row: &TaskRow) -> u64 {
    snapshot.sites.get(row.site.0 as usize).unwrap().rescued.unwrap()
}

#[tokio::test]
async fn what_only_an_asked_poll_moves_on_is_counted() {
    start();
    let mut polled = false;
    let finishes =
        poll_fn(move |_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending });
    let mut polled = false;
    let waits_then = async move {
        poll_fn(move |_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        sleep(LONG).await;
    };
    let (finishes, waits) = (spawn("finishes", finishes), spawn("waits then", waits_then));
    yield_now().await;
    let before = diag::snapshot().into_model();
    let sites = [row(&before, "finishes"), row(&before, "waits then")];
    assert_eq!(sites.map(|row| (row.lost, rescued(&before, &row))), [(Some(2), 0); 2]);
    assert!(!finishes.is_finished(), "no look polls");
    let after = asking().await;
    assert!(finishes.is_finished() && !waits.is_finished());
    assert_eq!(row(&after, "waits then").lost, None);
    assert_eq!(sites.map(|row| rescued(&after, &row)), [1, 1]);
    let again = asking().await;
    assert_eq!(sites.map(|row| rescued(&again, &row)), [1, 1], "it waits where it did");
}

#[tokio::test]
async fn wakes_are_counted_and_who_woke_is_known() {
    let (sender, mut receiver) = mpsc::unbounded_channel::<()>();
    spawn("sleeper", async move { while receiver.recv().await.is_some() {} });
    yield_now().await;
    for _ in 0..3 {
        sender.send(()).unwrap();
        yield_now().await;
    }
    let woken = row(&diag::snapshot().into_model(), "sleeper");
    assert_eq!((woken.wakes, woken.self_wakes, woken.polls), (Some(3), Some(0), 4));
    assert_eq!((woken.woken_by, woken.woken_by_site), (None, None));
    assert!(woken.woken_by_thread.is_some() && woken.woken_us >= Some(woken.spawned_us));
    let ringer = spawn("ringer", async move {
        sender.send(()).unwrap();
        sender.closed().await;
    });
    yield_now().await;
    yield_now().await;
    let snapshot = diag::snapshot().into_model();
    let (woken, by) = (row(&snapshot, "sleeper"), row(&snapshot, "ringer"));
    assert_eq!((woken.wakes, woken.self_wakes, woken.polls), (Some(4), Some(0), 5));
    let expected: (Option<TaskId>, _, _) = (Some(by.id), Some(by.site), None);
    assert_eq!((woken.woken_by, woken.woken_by_site, woken.woken_by_thread), expected);
    ringer.abort();
}

#[tokio::test]
async fn a_task_that_wakes_itself_is_told_apart() {
    let mut left = 5;
    let by_hand = poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    let tasks = [
        spawn("by hand", async { (by_hand.await, sleep(LONG).await).0 }),
        spawn("yields", async {
            for _ in 0..5 {
                diag::task::yield_now().await;
            }
            sleep(LONG).await;
        }),
    ];
    for _ in 0..10 {
        yield_now().await;
    }
    let snapshot = diag::snapshot().into_model();
    for name in ["by hand", "yields"] {
        let row = row(&snapshot, name);
        assert_eq!((name, row.wakes, row.self_wakes, row.polls), (name, Some(5), Some(5), 6));
    }
    tasks.iter().for_each(|task| task.abort());
}
