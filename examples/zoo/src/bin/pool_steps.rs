//! Healthy only: a pool of connections grows with the load, which doubles every 12 s up to its highest, and each connection has
//! a task and buffers that stay. The last step comes after 36 s.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Job = oneshot::Sender<usize>;
type Idle = Arc<Mutex<Vec<mpsc::Sender<Job>>>>;

async fn connection(mut jobs: mpsc::Receiver<Job>) {
    let mut buffer = Vec::with_capacity(120_000);
    zoo::held(120_000);
    while let Some(done) = jobs.recv().await {
        buffer.resize(100_000, 1);
        tokio::time::sleep(Duration::from_millis(400)).await;
        let _ = done.send(buffer.len());
    }
}

async fn request(idle: Idle) {
    let free = idle.lock().await.pop();
    let free = free.unwrap_or_else(|| {
        let (to, jobs) = mpsc::channel(1);
        diag::spawn(connection(jobs));
        to
    });
    let (done, is_done) = oneshot::channel();
    let _ = free.send(done).await;
    let _ = is_done.await;
    idle.lock().await.push(free);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let idle = Idle::default();
    zoo::every(10, |n| {
        let step = (n / 1_200).min(3);
        for _ in 0..1 << step {
            diag::spawn(request(idle.clone()));
        }
    })
    .await;
}
