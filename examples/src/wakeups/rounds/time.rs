//! Timers.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::few;

fn moment() -> Duration {
    Duration::from_micros(fastrand::u64(..2_500))
}

pub(super) async fn sleeps() {
    sleep(moment()).await;
    sleep_until(Instant::now() + moment()).await;
}

pub(super) async fn ticks() {
    let mut ticks = interval(Duration::from_millis(1));
    for _ in 0..few() {
        ticks.tick().await;
    }
}

pub(super) async fn timeouts() {
    for _ in 0..few() {
        let (sender, receiver) = oneshot::channel();
        diag::spawn(async {
            sleep(moment()).await;
            let _ = sender.send(());
        });
        let _ = timeout(moment(), receiver).await;
    }
}

/// A timer that is moved while it runs.
pub(super) async fn put_off() {
    let mut timer = std::pin::pin!(sleep(moment()));
    for _ in 0..few() {
        tokio::select! {
            () = &mut timer => {}
            () = sleep(moment()) => {}
        }
        timer.as_mut().reset(Instant::now() + moment());
    }
    timer.await;
}
