//! Every kind of leaf that a task can be parked at: the snapshot names the kind, and the file and line of
//! the service's own `.await`.
//!
//! Each case spawns its task and awaits in one line, so that the line of the spawn is the one expected.
//! To hold in four builds, since each has other stacks: debug and release, with and without
//! `RUSTFLAGS=-Cforce-frame-pointers=yes`.
#![cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::redundant_async_block, reason = "the line of the `.await` is what is looked for")]

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use diag_analysis::Analysis;
use diag_snapshot::{Snapshot, TaskId, TaskState};
use diag_test_support::folder::Folder;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{
    Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce, broadcast, mpsc, oneshot, watch,
};
use tokio::time::{interval_at, sleep, timeout};

const LONG: Duration = Duration::from_secs(3_600);
const FULL: usize = 16 << 20;

/// What is expected of the tasks spawned at each line, and what they need in order to stay parked.
#[derive(Default)]
struct Cases {
    expected: BTreeMap<u32, String>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl Cases {
    /// Spawns a task that is expected to be parked at `what`, in the line of the call.
    #[track_caller]
    fn park<F: Future<Output: Send> + Send + 'static>(&mut self, what: &str, future: F) {
        self.park_at(what, Location::caller().line(), future);
    }

    /// As [`park`](Cases::park), in the line given.
    #[track_caller]
    fn park_at<F: Future<Output: Send> + Send + 'static>(&mut self, what: &str, line: u32, future: F) {
        let spawned = Location::caller().line();
        let twice = self.expected.insert(spawned, format!("{what} at {}:{line}", file!()));
        assert_eq!(twice, None, "line {spawned}: one case a line");
        drop(diag::spawn(future));
    }

    /// Expects a task that is spawned in this line, and parked in a library's functions alone.
    fn expect(&mut self, what: &str, line: u32) {
        self.expected.insert(line, format!("{what} at {}:{line}", file!()));
    }

    /// Keeps alive what would end a case.
    fn keep(&mut self, what: impl Any + Send) {
        self.kept.push(Box::new(what));
    }
}

fn time(cases: &mut Cases) {
    cases.park("timer", async { sleep(LONG).await });
    let mut ticks = interval_at(tokio::time::Instant::now() + LONG, LONG);
    cases.park("timer", async move { ticks.tick().await });
}

fn channels(cases: &mut Cases) {
    let (bounded, mut orders) = mpsc::channel::<u8>(1);
    cases.park("mpsc recv", async move { orders.recv().await });
    let (unbounded, mut orders) = mpsc::unbounded_channel::<u8>();
    cases.park("mpsc recv", async move { orders.recv().await });
    let (full, unread) = mpsc::channel(1);
    full.try_send(1).expect("room for one");
    cases.park("mpsc send", async move { full.send(2).await });
    let (value, answer) = oneshot::channel::<u8>();
    cases.park("oneshot", async move { answer.await });
    let (mut asked, waiting) = oneshot::channel::<u8>();
    cases.park("oneshot closed", async move { asked.closed().await });
    let (news, mut reader) = broadcast::channel::<u8>(4);
    cases.park("broadcast", async move { reader.recv().await });
    let (setting, mut seen) = watch::channel(1);
    cases.park("watch", async move { seen.changed().await });
    let (closed, open) = mpsc::channel::<u8>(1);
    cases.park("mpsc closed", async move { closed.closed().await });
    cases.keep((bounded, unbounded, unread, value, waiting, news, setting, open));
}

fn locks(cases: &mut Cases) {
    let notify = Arc::new(Notify::new());
    cases.park("notify", async move { notify.notified().await });
    let mutex = Arc::new(Mutex::new(()));
    cases.keep(mutex.clone().try_lock_owned().expect("nobody has it"));
    cases.park("mutex", async move { drop(mutex.lock().await) });
    let written = Arc::new(RwLock::new(()));
    cases.keep(written.clone().try_write_owned().expect("nobody has it"));
    let write = written.clone();
    cases.park("rwlock read", async move { drop(written.read().await) });
    cases.park("rwlock write", async move { drop(write.write().await) });
    let permits = Arc::new(Semaphore::new(0));
    cases.park("semaphore", async move { permits.acquire().await.map(drop) });
    let filled = Arc::new(OnceCell::<u8>::new());
    let fills = filled.clone();
    // Polled once, it has the cell's permit.
    let mut filling = Box::pin(async move { fills.get_or_init(std::future::pending::<u8>).await == &1 });
    assert!(filling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    cases.keep(filling);
    cases.park("once cell", async move { *filled.get_or_init(async || 1).await });
    let set = Arc::new(SetOnce::<u8>::new());
    cases.park("set once", async move { *set.wait().await });
    let driven = sleep(LONG).shared();
    cases.park("shared future", async move { driven.await });
    let mutex = Arc::new(futures_util::lock::Mutex::new(()));
    cases.keep(mutex.clone().try_lock_owned().expect("nobody has it"));
    cases.park("mutex", async move { drop(mutex.lock().await) });
    let barrier = Arc::new(Barrier::new(2));
    cases.park("barrier", async move { barrier.wait().await });
}

async fn sockets(cases: &mut Cases) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let addr = listener.local_addr().expect("it is bound");
    let (mut quiet, mut clogged) = (
        TcpStream::connect(addr).await.expect("it listens"),
        TcpStream::connect(addr).await.expect("it listens"),
    );
    let others = (listener.accept().await.expect("two came"), listener.accept().await.expect("two came"));
    cases.park("socket accept", async move { listener.accept().await });
    cases.park("socket read", async move { quiet.read_u8().await });
    cases.park("socket write", async move { clogged.write_all(&vec![0; FULL]).await });

    let (mut quiet, unix_end) = UnixStream::pair().expect("a pair");
    cases.park("socket read", async move { quiet.read_u8().await });
    let (mut clogged, clogged_end) = UnixStream::pair().expect("a pair");
    cases.park("socket write", async move { clogged.write_all(&vec![0; FULL]).await });
    let (copied, copied_end) = UnixStream::pair().expect("a pair");
    let (mut from, mut to) = copied.into_split();
    cases.park("socket read", async move { tokio::io::copy(&mut from, &mut to).await });
    let folder = Folder::new("leaves");
    let listener = UnixListener::bind(folder.join("socket")).expect("the folder can be written");
    cases.park("socket accept", async move { listener.accept().await });

    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    cases.park("socket read", async move { udp.recv(&mut [0; 9]).await });
    let (mut pipe, pipe_end) = tokio::io::duplex(64);
    cases.park("in-memory pipe read", async move { pipe.read_u8().await });
    let (mut full, full_end) = tokio::io::duplex(4);
    cases.park("in-memory pipe write", async move { full.write_all(b"longer").await });
    let (written, mut read) = tokio::net::unix::pipe::pipe().expect("a pipe");
    cases.park("pipe read", async move { read.read_u8().await });
    let (mut written_to, unread) = tokio::net::unix::pipe::pipe().expect("a pipe");
    cases.park("pipe write", async move { written_to.write_all(&vec![0; FULL]).await });
    cases.keep((others, unix_end, clogged_end, copied_end, pipe_end, full_end, written, unread));
}

fn tasks(cases: &mut Cases) {
    let task = tokio::spawn(sleep(LONG));
    cases.park("join", async move { task.await });
    let task = diag::spawn(sleep(LONG));
    cases.park("join", async move { task.await });
    let mut set = tokio::task::JoinSet::new();
    set.spawn(sleep(LONG));
    cases.park("join next", async move { set.join_next().await });
    let mut set = diag::task::JoinSet::new();
    set.spawn(sleep(LONG));
    cases.park("join next", async move { set.join_next().await });
    let (end, blocked) = std::sync::mpsc::channel::<()>();
    let task = tokio::task::spawn_blocking(move || blocked.recv().is_err());
    cases.park("blocking join", async move { task.await });
    cases.keep(end);
    let (end, blocked) = std::sync::mpsc::channel::<()>();
    let task = diag::task::spawn_blocking(move || blocked.recv().is_err());
    cases.park("blocking join", async move { task.await });
    cases.keep(end);
}

fn system(cases: &mut Cases) {
    let mut sleeper = tokio::process::Command::new("sleep");
    let mut child = sleeper.arg("3600").kill_on_drop(true).spawn().expect("there is a sleep");
    cases.park("process", async move { child.wait().await });
    let mut hangup = signal(SignalKind::hangup()).expect("a handler");
    cases.park("signal", async move { hangup.recv().await });
}

fn several(cases: &mut Cases) {
    let (orders, mut receiver) = mpsc::channel::<u8>(1);
    cases.park("select of mpsc recv, timer", async move { timeout(LONG, receiver.recv()).await });
    let (news, mut reader) = broadcast::channel::<u8>(4);
    let stop = Notify::new();
    #[rustfmt::skip]
    cases.park("select of broadcast, notify", async move { tokio::select! { _ = reader.recv() => {}, () = stop.notified() => {} } });
    let (one, mut first) = mpsc::channel::<u8>(1);
    let (two, mut second) = mpsc::channel::<u8>(1);
    cases.park("mpsc recv (x2)", async move { tokio::join!(first.recv(), second.recv()) });
    let (three, mut third) = mpsc::channel::<u8>(1);
    let mut all: FuturesUnordered<_> = [async move { third.recv().await }].into_iter().collect();
    cases.park("futures unordered", async move { all.next().await });
    cases.keep((orders, news, one, two, three));
    left_behind(cases);
}

/// The poll that parks the task went through a `select!` before, of which the interval keeps a waker.
fn left_behind(cases: &mut Cases) {
    let (go, mut started) = mpsc::channel::<u8>(1);
    go.try_send(1).expect("room for one");
    let (full, unread) = mpsc::channel(1);
    full.try_send(1).expect("room for one");
    let mut ticks = interval_at(tokio::time::Instant::now() + LONG, LONG);
    #[rustfmt::skip]
    let future = async move {
        tokio::select! { biased; _ = ticks.tick() => {}, _ = started.recv() => {} }
        full.send(2).await
    };
    const SELECT: u32 = line!() - 3;
    cases.park(&format!("mpsc send at {}:{}; in the same poll also timer", file!(), SELECT + 1), future);
    // The line of what was left behind comes last.
    let (_, expected) = cases.expected.iter_mut().next_back().expect("this case");
    *expected =
        format!("mpsc send at {0}:{1}; in the same poll also timer at {0}:{SELECT}", file!(), SELECT + 1);
    cases.keep((go, unread));
}

/// Tasks whose functions are all a library's: the line is that of the spawn.
fn of_libraries(cases: &mut Cases) {
    cases.park("timer", sleep(LONG));
    let boxed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(sleep(LONG));
    cases.park("timer", boxed);
    cases.park("timer", sleep(LONG).map(|()| 1));
    let (value, answer) = oneshot::channel::<u8>();
    cases.park("oneshot", answer);
    cases.keep(value);
    let task = tokio::spawn(sleep(LONG));
    cases.park("join", task);
    let mut set = diag::task::JoinSet::new();
    cases.expect("timer", line!() + 1);
    set.spawn(sleep(LONG));
    cases.keep(set);
}

/// The service's own function between the task and the leaf.
async fn next_order(mut orders: mpsc::Receiver<u8>) -> Option<u8> {
    orders.recv().await
}
const NEXT_ORDER: u32 = line!() - 2;

/// A leaf of the service's own.
#[derive(Default)]
struct OwnLeaf(Option<Waker>);

impl Future for OwnLeaf {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0 = Some(context.waker().clone());
        Poll::Pending
    }
}
const OWN_LEAF: u32 = line!() - 4;

fn own(cases: &mut Cases) {
    let (orders, receiver) = mpsc::channel(1);
    cases.park_at("mpsc recv", NEXT_ORDER, async move { next_order(receiver).await });
    cases.park_at("own future", OWN_LEAF, OwnLeaf::default());
    cases.keep(orders);
}

async fn all() -> Cases {
    let mut cases = Cases::default();
    time(&mut cases);
    channels(&mut cases);
    locks(&mut cases);
    sockets(&mut cases).await;
    tasks(&mut cases);
    system(&mut cases);
    several(&mut cases);
    of_libraries(&mut cases);
    own(&mut cases);
    cases
}

/// What the snapshot says of the task spawned at each line of this file.
fn said(snapshot: &Snapshot) -> BTreeMap<u32, String> {
    let analysis = Analysis::new(snapshot.clone());
    let parked = analysis.await_points();
    let of_line = |(task, waits): (TaskId, &str)| {
        let task = snapshot.task(task).expect("only tasks of the snapshot have stacks");
        let site = snapshot.sites.get(task.site.0 as usize).expect("a task has a site");
        let is_ours = snapshot.strings.show(site.file) == file!() && task.state == TaskState::Idle;
        is_ours.then(|| (site.line, waits.to_owned()))
    };
    parked.answers().filter_map(of_line).collect()
}

fn check(runtime: Runtime) {
    // The tasks of both tests come from the same lines.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    diag::Builder::new().agent(false).init();
    let (send, cases) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = std::thread::spawn(move || {
        runtime.block_on(async {
            send.send(all().await).expect("the test waits");
            let _ = stopped.await;
        });
        runtime.shutdown_timeout(LONG);
    });
    let cases = cases.recv().expect("the service sends");
    let until = Instant::now() + Duration::from_secs(60);
    // A task may not have come to its leaf yet, and a busy machine may answer too late.
    let said = loop {
        let said = said(&diag::snapshot().into_model());
        let is_known = |line| said.contains_key(line);
        if cases.expected.keys().all(is_known) || Instant::now() > until {
            break said;
        }
    };
    let told = |line: &u32| said.get(line).map_or("nothing", String::as_str);
    // Line tables do not name the async function that is inlined, only its file.
    let loosely =
        |expected: &str| expected.replace("rwlock read", "rwlock").replace("rwlock write", "rwlock");
    // A spawn is told with its column, an await without.
    let is_column = |rest: &str| rest.strip_prefix(':').is_some_and(|column| column.parse::<u32>().is_ok());
    let fits = |said: &str, expected: &str| {
        said == expected
            || said.strip_prefix(expected).is_some_and(is_column)
            || (!cfg!(debug_assertions) && said == loosely(expected))
    };
    let wrong: Vec<String> = cases
        .expected
        .iter()
        .filter(|(line, expected)| !fits(told(line), expected))
        .map(|(line, expected)| format!("line {line}: expected {expected:?}, not {:?}", told(line)))
        .collect();
    drop(cases.kept);
    drop(stop);
    service.join().expect("the service ends");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.expected.len(), wrong.join("\n"));
}

#[test]
fn on_many_threads() {
    check(Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));
}

#[test]
fn on_one_thread() {
    check(Builder::new_current_thread().enable_all().build().expect("a runtime"));
}
