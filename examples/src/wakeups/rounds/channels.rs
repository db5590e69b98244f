//! Channels of all kinds, and `Notify`.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use super::{few, join, pause};

pub(super) async fn ping_pong() {
    let ((ask, mut asked), (answer, mut answers)) = (mpsc::channel(1), mpsc::channel(1));
    diag::spawn(async move {
        while let Some(n) = asked.recv().await {
            if answer.send(n).await.is_err() {
                break;
            }
        }
    });
    for n in 0..8 * few() {
        assert!(ask.send(n).await.is_ok());
        assert_eq!(answers.recv().await, Some(n));
    }
}

pub(super) async fn unbounded() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for _ in 0..few() {
        let sender = sender.clone();
        diag::spawn(async move {
            for n in 0..few() {
                pause().await;
                let _ = sender.send(n);
            }
        });
    }
    drop(sender);
    while receiver.recv().await.is_some() {}
}

pub(super) async fn full() {
    let (sender, mut receiver) = mpsc::channel(2);
    for _ in 0..few() {
        let sender = sender.clone();
        diag::spawn(async move {
            for n in 0..few() {
                assert!(sender.send(n).await.is_ok());
            }
        });
    }
    drop(sender);
    while receiver.recv().await.is_some() {
        pause().await;
    }
}

pub(super) async fn oneshots() {
    for _ in 0..few() {
        let (sender, receiver) = oneshot::channel();
        let keep = fastrand::bool();
        diag::spawn(async move {
            pause().await;
            if keep {
                let _ = sender.send(());
            }
        });
        assert_eq!(receiver.await.is_ok(), keep);
    }
}

pub(super) async fn watched() {
    let (sender, receiver) = watch::channel(0);
    let last = few();
    let watchers = (0..few()).map(|_| {
        let mut receiver = receiver.clone();
        diag::spawn(async move { receiver.wait_for(|n| *n == last).await.is_ok() })
    });
    let watchers = watchers.collect();
    for n in 1..=last {
        pause().await;
        sender.send_replace(n);
    }
    assert!(join(watchers).await.into_iter().all(|seen| seen));
}

pub(super) async fn broadcasts() {
    let (sender, _) = broadcast::channel(4);
    let listeners = (0..few()).map(|_| {
        let mut receiver = sender.subscribe();
        diag::spawn(async move { while receiver.recv().await != Err(broadcast::error::RecvError::Closed) {} })
    });
    let listeners = listeners.collect();
    for n in 0..2 * few() {
        pause().await;
        let _ = sender.send(n);
    }
    drop(sender);
    join(listeners).await;
}

pub(super) async fn turns() {
    let bells = Arc::new([Notify::new(), Notify::new()]);
    let turns = 4 * few();
    let players = [0, 1].map(|own| {
        let bells = Arc::clone(&bells);
        diag::spawn(async move {
            for _ in 0..turns {
                bells[own].notified().await;
                bells[1 - own].notify_one();
            }
        })
    });
    bells[0].notify_one();
    join(players.into()).await;
}

pub(super) async fn all_notified() {
    let (bell, waiters) = (Arc::new(Notify::new()), few());
    let (ready, mut readies) = mpsc::channel(waiters);
    let waiting = (0..waiters).map(|_| {
        let (bell, ready) = (Arc::clone(&bell), ready.clone());
        diag::spawn(async move {
            let mut notified = std::pin::pin!(bell.notified());
            notified.as_mut().enable();
            assert!(ready.send(()).await.is_ok());
            notified.await;
        })
    });
    let waiting = waiting.collect();
    for _ in 0..waiters {
        readies.recv().await;
    }
    pause().await;
    bell.notify_waiters();
    join(waiting).await;
}
