//! A service of many healthy tasks, that come and go, and of a few that tokio-console has something to say of.

use std::future::{pending, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use diag::task::JoinHandle;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// So many tasks come each time, and live from no time to `LONGEST`.
const CAME: u64 = 5;
const EVERY: Duration = Duration::from_millis(50);
const LONGEST_MS: u64 = 4_000;
/// More than the client takes for small.
const LARGE: usize = 4_096;
const SMALL: usize = 256;

/// What tokio-console says of the planted tasks, one of each, and their names. Each has a healthy twin, which is always there.
pub const LINTS: [(&str, &str); 3] = [
    ("1 tasks have lost their wakers", "loses_its_waker"),
    ("1 tasks have woken themselves over 50% of the time", "wakes_itself"),
    ("1 tasks are 1024 bytes or larger", "is_large"),
];

/// Runs until it is ended from outside; its agent says where it listens.
///
/// # Errors
/// If it cannot start.
pub fn run(tasks: u64, is_planted: bool) -> anyhow::Result<()> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let _diag = diag::Builder::new().service("watched").addr(any_port).start();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let (sender, receiver) = mpsc::channel(16);
        diag::spawn(receives(receiver));
        let waiting: Vec<JoinHandle<()>> = (0..tasks).map(spawn_waiting).collect();
        diag::spawn(keeps_its_waker());
        diag::spawn(wakes_itself_at_times());
        diag::spawn(is_small());
        if is_planted {
            diag::spawn(loses_its_waker());
            diag::spawn(wakes_itself());
            diag::spawn(is_large());
        }
        for n in 0_u64.. {
            for came in (n * CAME)..(n + 1) * CAME {
                diag::spawn(sleep(Duration::from_millis(came * 997 % LONGEST_MS)));
            }
            sender.send(n).await?;
            sleep(EVERY).await;
        }
        drop(waiting);
        Ok(())
    })
}

/// One of those that wait: one in ten is for a device.
fn spawn_waiting(n: u64) -> JoinHandle<()> {
    if n.is_multiple_of(10) {
        return diag::scope("device", n).spawn(waits());
    }
    diag::spawn(waits())
}

async fn waits() {
    let (sender, mut receiver) = mpsc::channel::<()>(1);
    receiver.recv().await;
    drop(sender);
}

async fn receives(mut numbers: mpsc::Receiver<u64>) {
    while numbers.recv().await.is_some() {}
}

async fn loses_its_waker() {
    pending().await
}

/// Its waker lies with a timer that nobody waits to see.
async fn keeps_its_waker() {
    sleep(Duration::from_secs(1 << 30)).await;
}

/// A hundred times, and then it rests for a moment, again and again.
async fn wakes_itself() {
    loop {
        wake_itself(100).await;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Once in three times; the timer does it the others.
async fn wakes_itself_at_times() {
    loop {
        sleep(Duration::from_millis(250)).await;
        sleep(Duration::from_millis(250)).await;
        wake_itself(1).await;
    }
}

async fn wake_itself(times: u32) {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn is_small() {
    let block = [1_u8; SMALL];
    loop {
        sleep(Duration::from_secs(1)).await;
        std::hint::black_box(&block);
    }
}

async fn is_large() {
    let block = [1_u8; LARGE];
    loop {
        sleep(Duration::from_secs(1)).await;
        std::hint::black_box(&block);
    }
}
