//! The fault of google-authz#5, chatmail/core#1922 and tokio-rs/tls#54: `poll` returns `Pending` while another fetches
//! the token, and keeps no waker.
//!
//! `--select`: the caller also listens for the shutdown, as services do.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Source {
    token: Option<u64>,
    fetching: bool,
    waiting: Vec<Waker>,
}

fn poll_token(source: &Arc<Mutex<Source>>, healthy: bool, cx: &mut Context<'_>) -> Poll<u64> {
    let mut s = source.lock().unwrap();
    if let Some(token) = s.token {
        return Poll::Ready(token);
    }
    if !s.fetching {
        s.fetching = true;
        let source = source.clone();
        let me = cx.waker().clone();
        diag::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let mut s = source.lock().unwrap();
            s.token = Some(7);
            s.fetching = false;
            me.wake();
            s.waiting.drain(..).for_each(Waker::wake);
        });
    } else if healthy {
        s.waiting.push(cx.waker().clone());
    }
    Poll::Pending // FAULT
}

async fn call(source: Arc<Mutex<Source>>, healthy: bool, stop: Option<watch::Receiver<bool>>) -> u64 {
    let token = poll_fn(|cx| poll_token(&source, healthy, cx));
    match stop {
        None => token.await, // FAULT
        Some(mut stop) => tokio::select! {
            t = token => t, // FAULT
            _ = stop.wait_for(|s| *s) => 0,
        },
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let select = zoo::flag("--select");
    let source = Arc::new(Mutex::new(Source::default()));
    let (_stop, stopped) = watch::channel(false);
    let mut each = tokio::time::interval(Duration::from_millis(10));
    for n in 0u64.. {
        each.tick().await;
        if n % 40 == 0 {
            source.lock().unwrap().token = None; // it expired
        }
        diag::spawn(call(source.clone(), healthy, select.then(|| stopped.clone()))); // FAULT
    }
}
