//! Tasks that wait for tasks, are aborted, run out of budget, yield, or keep wakers themselves.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use diag::task::{self, AbortHandle, Builder, JoinHandle, JoinSet};
use futures_util::task::AtomicWaker;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use super::super::workload::World;
use super::{few, join, pause};

const LONG: Duration = Duration::from_secs(3_600);

pub(super) async fn join_set() {
    let mut set = JoinSet::new();
    for _ in 0..few() {
        let handle = set.spawn(pause());
        if fastrand::u32(..8) == 0 {
            handle.abort();
        }
    }
    set.spawn_blocking(|| ());
    let leave = fastrand::usize(..8);
    while set.len() > leave && set.join_next().await.is_some() {}
    if leave % 3 == 0 {
        set.shutdown().await;
    }
}

/// Tasks that would wait for hours, stopped in every way that there is.
pub(super) async fn abort_storm() {
    let victims: Vec<JoinHandle<()>> = (0..2 * few()).map(victim).collect();
    let again: Vec<AbortHandle> = victims.iter().map(JoinHandle::abort_handle).collect();
    pause().await;
    for (n, victim) in victims.into_iter().enumerate() {
        match n % 3 {
            0 => victim.abort(),
            1 => victim.into_tokio().abort(),
            _ => {
                victim.abort();
                assert!(victim.await.is_err());
            }
        }
        pause().await;
    }
    again.iter().for_each(AbortHandle::abort);
}

fn victim(n: usize) -> JoinHandle<()> {
    match n % 5 {
        0 => diag::spawn(sleep(LONG)),
        1 => diag::spawn(async { Notify::new().notified().await }),
        2 => diag::spawn(async { drop(Semaphore::new(0).acquire().await) }),
        3 => diag::spawn(async {
            let (_sender, mut receiver) = mpsc::channel::<()>(1);
            receiver.recv().await;
        }),
        _ => diag::spawn(async {
            let mut set = JoinSet::new();
            set.spawn(sleep(LONG));
            set.join_next().await;
        }),
    }
}

pub(super) async fn blocking() {
    join((0..3).map(|_| task::spawn_blocking(std::thread::yield_now)).collect()).await;
    // Not inside of a `LocalSet`, which does not allow it.
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        join(vec![diag::spawn(async { task::block_in_place(std::thread::yield_now) })]).await;
    }
}

/// More than one poll may do, several times over.
pub(super) async fn budgets() {
    for _ in 0..300 {
        task::coop::consume_budget().await;
    }
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (0..500).for_each(|n| assert!(sender.send(n).is_ok()));
    drop(sender);
    while receiver.recv().await.is_some() {}
}

pub(super) async fn yields() {
    for _ in 0..few() {
        tokio::task::yield_now().await;
        task::yield_now().await;
        let mut woken = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// A flag with one waiter, as people write it themselves.
#[derive(Default)]
struct Flag {
    is_up: AtomicBool,
    waker: Mutex<Option<Waker>>,
    atomic: AtomicWaker,
}

impl Flag {
    fn raise(&self) {
        self.is_up.store(true, Ordering::SeqCst);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
        self.atomic.wake();
    }

    /// Keeps the waker in one of the two places.
    fn poll(&self, cx: &mut Context<'_>, by_lock: bool) -> Poll<()> {
        if by_lock {
            *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        } else {
            self.atomic.register(cx.waker());
        }
        if self.is_up.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

pub(super) async fn own_cells() {
    for n in 0..few() {
        let flag = Arc::new(Flag::default());
        let raised = Arc::clone(&flag);
        diag::spawn(async move {
            pause().await;
            raised.raise();
        });
        poll_fn(|cx| flag.poll(cx, n % 2 == 0)).await;
    }
}

/// Work for another runtime, and its answer.
pub(super) async fn elsewhere(world: Arc<World>) {
    for _ in 0..few() {
        let (sender, receiver) = oneshot::channel();
        let work = async {
            pause().await;
            let _ = sender.send(());
        };
        let runtime = &world.runtimes[fastrand::usize(..world.runtimes.len())];
        let Ok(handle) = Builder::new().spawn_on(work, runtime) else { return };
        assert!(receiver.await.is_ok());
        join(vec![handle]).await;
    }
}

pub(super) async fn other_thread(world: Arc<World>) {
    for _ in 0..few() {
        let (sender, receiver) = oneshot::channel();
        assert!(world.thread.send(sender).is_ok());
        assert!(receiver.await.is_ok());
    }
}
