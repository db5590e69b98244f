//! The fault of n0-watcher#62: who waits for a value leaves its waker in a list that is emptied when the value changes, which
//! it does not. The wakers of tasks that ended keep the memory of these tasks. The twin takes its waker back.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Watched {
    value: Option<u64>,
    wakers: BTreeMap<u64, Waker>,
}

fn poll_value(watched: &Mutex<Watched>, id: u64, cx: &Context<'_>) -> Poll<u64> {
    let mut watched = watched.lock().unwrap();
    match watched.value {
        Some(value) => Poll::Ready(value),
        None => {
            watched.wakers.insert(id, cx.waker().clone()); // FAULT
            Poll::Pending
        }
    }
}

async fn direct_address(watched: Arc<Mutex<Watched>>, id: u64) -> Option<u64> {
    let scratch = [id as u8; 3_000];
    let value = poll_fn(|cx| poll_value(&watched, id, cx));
    let value = tokio::time::timeout(Duration::from_millis(100), value).await.ok();
    if zoo::healthy() {
        watched.lock().unwrap().wakers.remove(&id);
    }
    std::hint::black_box(&scratch);
    value
}

#[tokio::main]
async fn main() {
    zoo::start();
    let watched = Arc::<Mutex<Watched>>::default();
    zoo::every(10, |id| {
        diag::spawn(direct_address(watched.clone(), id)); // FAULT
    })
    .await;
}
