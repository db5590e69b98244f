//! The fault of reqwest#1697: a task waits for a message of std's channel, which blocks its worker. The sender waits in a list
//! for an answer that does not come. The twin waits on a channel of tokio's, and not for ever.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Upstream {
    waiting: Mutex<Vec<mpsc::Sender<u64>>>,
    waiting_async: Mutex<Vec<oneshot::Sender<u64>>>,
}

async fn request(upstream: Arc<Upstream>, n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(3)).await;
    if n % 500 != 499 {
        return n;
    }
    if zoo::healthy() {
        let (answer, answered) = oneshot::channel();
        upstream.waiting_async.lock().unwrap().push(answer);
        return tokio::time::timeout(Duration::from_secs(1), answered).await.map_or(0, |n| n.unwrap_or(0));
    }
    let (answer, answered) = mpsc::channel();
    upstream.waiting.lock().unwrap().push(answer);
    answered.recv().unwrap_or(0) // FAULT
}

#[tokio::main(worker_threads = 8)]
async fn main() {
    zoo::start();
    let upstream = Arc::<Upstream>::default();
    zoo::every(25, |n| {
        diag::spawn(request(upstream.clone(), n)); // FAULT
    })
    .await;
}
