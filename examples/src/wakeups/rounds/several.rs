//! Tasks that wait for several things at once.

use std::sync::Arc;
use std::time::Duration;

use diag::task::track;
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;

use super::super::workload::World;
use super::{few, pause};

/// Answered by a thread that is no runtime's.
async fn answered(world: Arc<World>) {
    let (sender, receiver) = oneshot::channel();
    assert!(world.thread.send(sender).is_ok());
    assert!(receiver.await.is_ok());
}

pub(super) async fn selects(world: Arc<World>) {
    let (sender, mut receiver) = mpsc::channel(1);
    let bell = Arc::new(Notify::new());
    let ringing = Arc::clone(&bell);
    diag::spawn(async move {
        for n in 0..few() {
            pause().await;
            if n % 2 == 0 {
                ringing.notify_one();
            } else {
                let _ = sender.send(n).await;
            }
        }
    });
    loop {
        tokio::select! {
            () = bell.notified() => {}
            () = sleep(Duration::from_micros(300)) => {}
            () = answered(Arc::clone(&world)) => pause().await,
            message = receiver.recv() => if message.is_none() { break },
        }
    }
}

pub(super) async fn joins(world: Arc<World>) {
    tokio::join!(pause(), answered(Arc::clone(&world)), sleep(Duration::from_micros(200)));
    join_all((0..5 * few()).map(|_| answered(Arc::clone(&world)))).await;
    let (slow, fast) = (Box::pin(answered(world)), Box::pin(pause()));
    match select(slow, fast).await {
        Either::Left(((), fast)) => fast.await,
        Either::Right(((), slow)) => slow.await,
    }
}

pub(super) async fn unordered(world: Arc<World>) {
    let child = |n: usize| {
        let world = Arc::clone(&world);
        async move {
            match n % 3 {
                0 => pause().await,
                1 => answered(world).await,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let mut children: FuturesUnordered<_> = (0..few()).map(child).collect();
    let keep = few();
    for n in 0..2 * keep {
        if children.next().await.is_none() {
            return;
        }
        if n < keep {
            children.push(child(n));
        }
    }
}

pub(super) async fn tracked() {
    for _ in 0..few() {
        tokio::select! {
            () = track(pause()) => {}
            () = track(async { sleep(Duration::from_micros(500)).await }) => {}
        }
    }
    let mut children: FuturesUnordered<_> = (0..few()).map(|_| track(pause())).collect();
    while children.next().await.is_some() {}
}
