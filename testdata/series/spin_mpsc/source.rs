//! The fault of materialize#36361: an outer loop around a receive loop; when all senders are gone, it spins.
//!
//! `--yield`: the fault of freenet-core#2336, a receive that is `try_recv` and `yield_now` in a loop; with
//! `--ported` it is diag's `yield_now`. `--park`, which is healthy: a task that is done parks for good, the idiom of a guard.

use std::time::Duration;

use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn cache(mut inbox: mpsc::UnboundedReceiver<u64>, healthy: bool) {
    let parks = zoo::flag("--park");
    let mut kept = 0u64;
    loop {
        while let Some(n) = inbox.recv().await {
            // FAULT
            kept = kept.wrapping_add(n);
        }
        if healthy {
            return;
        }
        if parks {
            std::future::pending::<()>().await;
        }
    }
}

/// The fault of freenet-core#2336: an async receive that is `try_recv` and `yield_now` in a loop.
async fn fast(mut inbox: mpsc::UnboundedReceiver<u64>) {
    let ported = zoo::flag("--ported");
    let mut kept = 0u64;
    loop {
        match inbox.try_recv() {
            Ok(n) => kept = kept.wrapping_add(n),
            Err(_) if ported => diag::task::yield_now().await, // FAULT
            Err(_) => tokio::task::yield_now().await,          // FAULT
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let (to, inbox) = mpsc::unbounded_channel();
    if zoo::flag("--yield") {
        diag::spawn(fast(inbox)); // FAULT
    } else {
        diag::spawn(cache(inbox, healthy)); // FAULT
    }
    diag::spawn(async move {
        for n in 0..200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let _ = to.send(n);
        }
    });
    let mut each = tokio::time::interval(Duration::from_millis(20));
    loop {
        each.tick().await;
        diag::spawn(async { tokio::time::sleep(Duration::from_millis(3)).await });
    }
}
