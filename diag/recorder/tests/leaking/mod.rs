//! Tests that leak if they are told to, and end what they began if not. Where the leak is made, the line says so.
#![allow(
    clippy::async_yields_async,
    clippy::redundant_async_block,
    reason = "handles are what is leaked here"
)]

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc as std_mpsc};
use std::task::Poll;
use std::time::Duration;

use diag::task::{JoinSet, LocalSet};
use diag::testing::{LeakGuard, LeakKind};
use tokio::net::{TcpListener, UdpSocket, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use LeakKind::{Blocking, Child, EndedTask, Future as Tracked, InUse, Panicked, Socket, Task, Value, Worker};

pub(crate) type Test = Pin<Box<dyn Future<Output = ()>>>;

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What is left, and how many.
    pub(crate) leaves: &'static [(LeakKind, usize)],
    /// On threads of its own, and not on the test's alone.
    pub(crate) on_workers: bool,
    /// What it waits for, or where else it is, in the words of the message.
    pub(crate) says: &'static str,
    pub(crate) run: fn(bool) -> Test,
}

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    static PERMITS: Arc<Semaphore> = Arc::new(Semaphore::new(3));
}

/// Leaks it, as far as the test can tell.
fn keep(what: impl Any) {
    KEPT.with_borrow_mut(|kept| kept.push(Box::new(what)));
}

/// Ends what was leaked: the next test of this thread begins anew.
pub(crate) fn clean_up() {
    let kept = KEPT.take();
    drop(kept);
}

/// Tells a guard of what the tests count themselves.
pub(crate) fn guarded(guard: LeakGuard) -> LeakGuard {
    guard.unchanged("permits", || PERMITS.with(|permits| permits.available_permits()))
}

macro_rules! cases {
    ($($name:ident: $leaves:expr, $says:literal $(, $on_workers:literal)?;)*) => {
        pub(crate) const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            leaves: &$leaves,
            on_workers: false $(|| $on_workers)?,
            says: $says,
            run: |leaks| Box::pin($name(leaks)),
        }),*];
    };
}

cases! {
    parked_task: [(Task, 1)], "waits for: oneshot";
    task_on_workers: [(Task, 2)], "waits for: oneshot", true;
    join_set_kept: [(Task, 3)], "waits for: ";
    handle_kept: [(EndedTask, 1)], "one handle is left";
    join_set_not_emptied: [(EndedTask, 2)], "one handle is left";
    unobserved_panic: [(Panicked, 1)], "1 task panicked, and nobody was told, spawned at ";
    unobserved_panic_of_a_set: [(Panicked, 2)], "2 tasks panicked, and nobody was told, spawned at ", true;
    grandchild: [(Task, 1)], "waits for: ";
    timer_loop: [(Task, 1)], "waits for: timer";
    spinner: [(Task, 1)], "task spawned at";
    own_sender: [(Task, 1)], "waits for: mpsc recv";
    permit_wait: [(Task, 1)], "waits for: semaphore";
    permit: [(Value, 1)], "it was 3 and is 2";
    in_use: [(InUse, 1)], "by the test itself";
    in_use_of_a_task: [(Task, 1), (InUse, 1)], "by a task of the test";
    blocking: [(Blocking, 1)], "is running";
    blocking_aborted: [(Blocking, 1)], "is running";
    local_task: [(Task, 1)], "waits for: ";
    tracked_future: [(Tracked, 1)], "tracked future made at";
    named_task: [(Task, 1)], "its name is \"feed\"";
    never_awaited: [(Task, 1)], "waits for: ";
    on_a_thread: [(Task, 1)], "waits for: ";
    library_task: [(Task, 1)], "spawned without diag";
    library_on_workers: [(Task, 1)], "spawned without diag", true;
    library_blocking: [(Blocking, 1)], "closure on a blocking thread";
    listener: [(Socket, 1)], "socket registered";
    datagram: [(Socket, 1)], "socket registered", true;
    pair_of_a_task: [(Task, 1), (Socket, 1)], "waits for: ";
    runtime: [(Worker, 1)], "worker thread of a runtime";
    runtime_at_work: [(Task, 1)], "waits for: ";
    child: [(Child, 1)], "is running";
    child_not_waited_for: [(Child, 1)], "nobody has waited for it";
}

async fn end<T: 'static>(task: diag::task::JoinHandle<T>) {
    task.abort();
    let _ = task.await;
}

async fn unobserved_panic(leaks: bool) {
    let task = diag::spawn(async { panic!("what was to be checked is not so") }); // leak: unobserved_panic
    if leaks {
        drop(task);
        tokio::task::yield_now().await;
    } else {
        let joined: Result<(), _> = task.await;
        assert!(joined.is_err_and(|error| error.is_panic()));
    }
}

async fn unobserved_panic_of_a_set(leaks: bool) {
    let mut set = JoinSet::<()>::new();
    for _ in 0..2 {
        set.spawn(async { panic!("what was to be checked is not so") }); // leak: unobserved_panic_of_a_set
    }
    if leaks {
        // The first tells that it panicked only if it is asked.
        set.detach_all();
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
    while let Some(joined) = set.join_next().await {
        assert!(joined.is_err_and(|error| error.is_panic()));
    }
}

async fn parked_task(leaks: bool) {
    let (answer, asked) = oneshot::channel::<()>();
    let task = diag::spawn(async { asked.await }); // leak: parked_task
    tokio::task::yield_now().await;
    if leaks {
        keep(answer);
    } else {
        answer.send(()).expect("it listens");
        let _ = task.await;
    }
}

async fn task_on_workers(leaks: bool) {
    for _ in 0..2 {
        let (answer, asked) = oneshot::channel::<()>();
        let task = diag::spawn(async { asked.await }); // leak: task_on_workers
        if leaks { keep(answer) } else { end(task).await }
    }
}

async fn join_set_kept(leaks: bool) {
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        tasks.spawn(pending::<()>()); // leak: join_set_kept
    }
    tokio::task::yield_now().await;
    if leaks { keep(tasks) } else { tasks.shutdown().await }
}

async fn handle_kept(leaks: bool) {
    let (told, tell) = oneshot::channel();
    let task = diag::spawn(async { told.send(()) }); // leak: handle_kept
    tell.await.expect("it tells");
    if leaks {
        keep(task);
    } else {
        let _ = task.await;
    }
}

async fn join_set_not_emptied(leaks: bool) {
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        tasks.spawn(async {}); // leak: join_set_not_emptied
    }
    tokio::task::yield_now().await;
    if leaks { keep(tasks) } else { while tasks.join_next().await.is_some() {} }
}

async fn grandchild(leaks: bool) {
    let parent = diag::spawn(async {
        diag::spawn(async {
            diag::spawn(pending::<()>()) // leak: grandchild
        })
    });
    let child = parent.await.expect("it ends").await.expect("it ends as well");
    tokio::task::yield_now().await;
    if !leaks {
        end(child).await;
    }
}

async fn timer_loop(leaks: bool) {
    #[rustfmt::skip]
    let task = diag::spawn(async { // leak: timer_loop
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        loop {
            ticks.tick().await;
        }
    });
    tokio::time::sleep(Duration::from_millis(2)).await;
    if !leaks {
        end::<()>(task).await;
    }
}

async fn spinner(leaks: bool) {
    #[rustfmt::skip]
    let task = diag::spawn(async { // leak: spinner
        loop {
            diag::task::yield_now().await;
        }
    });
    tokio::task::yield_now().await;
    if !leaks {
        end::<()>(task).await;
    }
}

async fn own_sender(leaks: bool) {
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let kept = leaks.then(|| sender.clone());
    #[rustfmt::skip]
    let task = diag::spawn(async move { // leak: own_sender
        let _kept = kept;
        while receiver.recv().await.is_some() {}
    });
    sender.send(1).await.expect("it receives");
    drop(sender);
    tokio::task::yield_now().await;
    if !leaks {
        task.await.expect("it ends with its last sender");
    }
}

async fn permit_wait(leaks: bool) {
    let permits = Arc::new(Semaphore::new(0));
    let waited = Arc::clone(&permits);
    let task = diag::spawn(async move { waited.acquire().await.is_ok() }); // leak: permit_wait
    tokio::task::yield_now().await;
    if leaks {
        keep(permits);
    } else {
        permits.close();
        assert!(!task.await.expect("it ends"));
    }
}

async fn permit(leaks: bool) {
    let permits = PERMITS.with(Arc::clone);
    let permit = permits.acquire_owned().await.expect("there are some");
    if leaks { keep(permit) } else { drop(permit) }
}

async fn in_use(leaks: bool) {
    let connection = diag::resource::acquire("connection"); // leak: in_use
    if leaks { keep(connection) } else { drop(connection) }
}

async fn in_use_of_a_task(leaks: bool) {
    let (tell, told) = oneshot::channel::<()>();
    let task = diag::spawn(async {
        let _connection = diag::resource::acquire("connection"); // leak: in_use_of_a_task
        let _ = told.await;
    });
    tokio::task::yield_now().await;
    if leaks {
        keep(tell);
    } else {
        drop(tell);
        let _ = task.await;
    }
}

async fn blocking(leaks: bool) {
    let (tell, told) = std_mpsc::channel::<()>();
    let (running, runs) = oneshot::channel();
    #[rustfmt::skip]
    let task = diag::task::spawn_blocking(move || { // leak: blocking
        let _ = running.send(());
        told.recv()
    });
    runs.await.expect("it runs");
    if leaks {
        keep(tell);
    } else {
        drop(tell);
        let _ = task.await;
    }
}

async fn blocking_aborted(leaks: bool) {
    let (tell, told) = std_mpsc::channel::<()>();
    let (running, runs) = oneshot::channel();
    #[rustfmt::skip]
    let task = diag::task::spawn_blocking(move || { // leak: blocking_aborted
        let _ = running.send(());
        told.recv()
    });
    runs.await.expect("it runs");
    // Which does nothing to a closure that runs.
    task.abort();
    if leaks {
        keep(tell);
    } else {
        drop(tell);
        let _ = task.await;
    }
}

async fn local_task(leaks: bool) {
    let tasks = LocalSet::new();
    tasks.spawn_local(pending::<()>()); // leak: local_task
    tasks.run_until(tokio::task::yield_now()).await;
    if leaks { keep(tasks) } else { drop(tasks) }
}

async fn tracked_future(leaks: bool) {
    let mut future = Box::pin(diag::task::track(pending::<()>())); // leak: tracked_future
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    if leaks { keep(future) } else { drop(future) }
}

async fn named_task(leaks: bool) {
    let task = diag::task::Builder::new().name("feed").spawn(pending::<()>()).expect("in a runtime"); // leak: named_task
    tokio::task::yield_now().await;
    if !leaks {
        end(task).await;
    }
}

async fn never_awaited(leaks: bool) {
    let task = diag::spawn(pending::<()>()); // leak: never_awaited
    if !leaks {
        // Without a wait: it has its turn when the guard looks.
        task.abort();
    }
}

async fn on_a_thread(leaks: bool) {
    // The runtime is the test's, so what is spawned on it is as well.
    let handle = tokio::runtime::Handle::current();
    let work = move || {
        let _entered = handle.enter();
        diag::spawn(pending::<()>()) // leak: on_a_thread
    };
    let task = std::thread::spawn(work).join().expect("it spawns");
    tokio::task::yield_now().await;
    if !leaks {
        end(task).await;
    }
}

async fn library_task(leaks: bool) {
    let task = tokio::spawn(pending::<()>()); // leak: library_task
    tokio::task::yield_now().await;
    if !leaks {
        task.abort();
        let _ = task.await;
    }
}

async fn library_on_workers(leaks: bool) {
    // Who has spawned it has ended, and neither is recorded.
    let spawner = tokio::spawn(async {
        tokio::spawn(pending::<()>()) // leak: library_on_workers
    });
    let task = spawner.await.expect("it ends");
    if !leaks {
        task.abort();
        let _ = task.await;
    }
}

async fn library_blocking(leaks: bool) {
    let (tell, told) = std_mpsc::channel::<()>();
    let task = tokio::task::spawn_blocking(move || told.recv()); // leak: library_blocking
    if leaks {
        keep(tell);
    } else {
        drop(tell);
        let _ = task.await;
    }
}

async fn listener(leaks: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port"); // leak: listener
    if leaks { keep(listener) } else { drop(listener) }
}

async fn datagram(leaks: bool) {
    #[rustfmt::skip]
    let task = diag::spawn(async {
        UdpSocket::bind("127.0.0.1:0").await // leak: datagram
    });
    let socket = task.await.expect("it ends").expect("a port");
    if leaks { keep(socket) } else { drop(socket) }
}

async fn pair_of_a_task(leaks: bool) {
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    near.set_nonblocking(true).expect("it does not block");
    #[rustfmt::skip]
    let task = diag::spawn(async { // leak: pair_of_a_task
        UnixStream::from_std(near).expect("it is registered").readable().await
    });
    tokio::task::yield_now().await;
    if leaks {
        keep(far);
    } else {
        drop(far);
        task.await.expect("it ends").expect("the other end is closed");
    }
}

async fn runtime(leaks: bool) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).build().expect("a runtime"); // leak: runtime
    if leaks { keep(runtime) } else { runtime.shutdown_background() }
}

async fn runtime_at_work(leaks: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let work = || {
        runtime.block_on(async {
            diag::spawn(pending::<()>()); // leak: runtime_at_work
            tokio::task::yield_now().await;
        });
        runtime
    };
    // On another thread: this one has a runtime.
    let scope = SCOPE.take().expect("the test has one");
    let runtime = std::thread::scope(|threads| {
        let entered = || {
            let _entered = scope.enter();
            work()
        };
        threads.spawn(entered).join().expect("it works")
    });
    if leaks { keep(Shut(Some(runtime))) } else { runtime.shutdown_background() }
}

thread_local! {
    pub(crate) static SCOPE: RefCell<Option<diag::testing::Scope>> = const { RefCell::new(None) };
}

/// A runtime that ends without a wait.
struct Shut(Option<tokio::runtime::Runtime>);

impl Drop for Shut {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
}

/// A child that is ended and waited for.
struct Reaped(std::process::Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn child(leaks: bool) {
    let child = Command::new("sleep").arg("600").spawn().expect("there is such a program");
    if leaks { keep(Reaped(child)) } else { drop(Reaped(child)) }
}

async fn child_not_waited_for(leaks: bool) {
    let mut child = Command::new("cat").stdin(Stdio::null()).spawn().expect("there is such a program");
    if leaks {
        keep(Reaped(child));
        // It ends meanwhile.
        tokio::time::sleep(Duration::from_millis(30)).await;
    } else {
        child.wait().expect("it ends");
    }
}
