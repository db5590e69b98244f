//! The fault of ret2shell#112, tanoshi#77 and fynd#456: a job that cannot be read ends its worker by a panic, of which nobody
//! knows, since nobody has the handle. When all six are gone the queue is full and every caller gives up after a second. The
//! twin counts what it cannot read.

use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// What is to be done.
mod job {
    use tokio::sync::oneshot;

    pub(crate) struct Job {
        pub(crate) body: String,
        pub(crate) done: oneshot::Sender<u64>,
    }

    /// One in fifty comes from an old client.
    pub(crate) fn body(n: u64) -> String {
        if zoo::mix(n).is_multiple_of(50) { format!("amount={n},00") } else { format!("amount={n}") }
    }

    pub(crate) fn amount(body: &str) -> Result<u64, std::num::ParseIntError> {
        body.trim_start_matches("amount=").parse()
    }
}

/// Those who do it.
mod pool {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use tokio::sync::{Mutex, mpsc, oneshot};
    use tokio::time::{sleep, timeout};

    use crate::job::{Job, amount};

    const WORKERS: usize = 6;

    pub(crate) struct Pool {
        to_workers: mpsc::Sender<Job>,
        jobs: Mutex<mpsc::Receiver<Job>>,
        unreadable: AtomicU64,
    }

    impl Pool {
        pub(crate) fn start() -> Arc<Self> {
            let (to_workers, jobs) = mpsc::channel(20);
            let pool = Arc::new(Pool { to_workers, jobs: Mutex::new(jobs), unreadable: AtomicU64::new(0) });
            for _ in 0..WORKERS {
                diag::spawn(work(pool.clone())); // FAULT
            }
            pool
        }

        /// Has a job done, within a second.
        pub(crate) async fn run(&self, body: String) -> Option<u64> {
            let (done, result) = oneshot::channel();
            let all = async {
                self.to_workers.send(Job { body, done }).await.ok()?; // FAULT
                result.await.ok()
            };
            timeout(Duration::from_secs(1), all).await.ok().flatten()
        }

        fn read(&self, body: &str) -> u64 {
            if zoo::healthy() {
                return amount(body).unwrap_or_else(|_| self.unreadable.fetch_add(1, Relaxed));
            }
            amount(body).unwrap() // FAULT
        }
    }

    async fn work(pool: Arc<Pool>) {
        loop {
            let Some(job) = pool.jobs.lock().await.recv().await else { return };
            sleep(Duration::from_millis(20)).await;
            let _ = job.done.send(pool.read(&job.body)); // FAULT
        }
    }
}

async fn request(pool: Arc<pool::Pool>, n: u64) -> u64 {
    pool.run(job::body(n)).await.unwrap_or_default()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let pool = pool::Pool::start();
    zoo::every(60, |n| {
        diag::spawn(request(pool.clone(), n));
    })
    .await;
}
