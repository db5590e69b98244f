//! Healthy only: a pool starts a worker whenever a job finds none free, up to 64. It reaches its size in the first 20 s, and
//! the workers wait for their next job, some of them for long. Each has a buffer that it keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Pool {
    free: AtomicU64,
    workers: AtomicU64,
}

async fn worker(pool: Arc<Pool>, jobs: Arc<Mutex<mpsc::Receiver<u64>>>) {
    let mut scratch = vec![0; 300_000];
    zoo::held(300_000);
    loop {
        pool.free.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.lock().await.recv().await else { return };
        pool.free.fetch_sub(1, Ordering::Relaxed);
        scratch[job as usize % 300_000] = 1;
        tokio::time::sleep(Duration::from_millis(20 + zoo::mix(job) % 60)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to_pool, jobs) = mpsc::channel(1_000);
    let (pool, jobs) = (Arc::<Pool>::default(), Arc::new(Mutex::new(jobs)));
    zoo::every(10, |n| {
        // Bursts that become larger for a while.
        let burst = if n % 100 == 0 { 4 * (n / 100).min(20) } else { 0 };
        for job in 0..=burst {
            if pool.free.load(Ordering::Relaxed) <= job && pool.workers.load(Ordering::Relaxed) < 64 {
                pool.workers.fetch_add(1, Ordering::Relaxed);
                diag::spawn(worker(pool.clone(), jobs.clone()));
            }
            let _ = to_pool.try_send(n * 100 + job);
        }
    })
    .await;
}
