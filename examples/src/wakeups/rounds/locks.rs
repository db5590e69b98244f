//! Locks and what else lets one task at a time go on.

use std::sync::Arc;

use tokio::sync::{Barrier, Mutex, OnceCell, RwLock, Semaphore};

use super::{few, join, pause};

/// What they fight for lies here.
async fn contend<L, F>(lock: L, turn: impl Fn(Arc<L>) -> F) -> Arc<L>
where
    F: Future<Output = ()> + Send + 'static,
{
    let lock = Arc::new(lock);
    join((0..few()).map(|_| diag::spawn(turn(Arc::clone(&lock)))).collect()).await;
    lock
}

pub(super) async fn semaphore() {
    let semaphore = contend(Semaphore::new(3), |semaphore| async move {
        for _ in 0..few() {
            let permits = semaphore.acquire_many(fastrand::u32(1..=3)).await;
            pause().await;
            assert!(permits.is_ok());
        }
    });
    assert_eq!(semaphore.await.available_permits(), 3);
}

pub(super) async fn mutex() {
    contend(Mutex::new(0), |mutex| async move {
        for _ in 0..few() {
            let mut count = mutex.lock().await;
            pause().await;
            *count += 1;
        }
    })
    .await;
}

pub(super) async fn rwlock() {
    contend(RwLock::new(0), |lock| async move {
        for _ in 0..few() {
            if fastrand::bool() {
                let count = lock.read().await;
                pause().await;
                drop(count);
            } else {
                let mut count = lock.write().await;
                pause().await;
                *count += 1;
            }
        }
    })
    .await;
}

pub(super) async fn barrier() {
    let (n, rounds) = (few(), few());
    let barrier = Arc::new(Barrier::new(n));
    let waiting = (0..n).map(|_| {
        let barrier = Arc::clone(&barrier);
        diag::spawn(async move {
            for _ in 0..rounds {
                pause().await;
                barrier.wait().await;
            }
        })
    });
    join(waiting.collect()).await;
}

pub(super) async fn once() {
    contend(OnceCell::new(), |cell: Arc<OnceCell<()>>| async move {
        cell.get_or_init(pause).await;
    })
    .await;
}
