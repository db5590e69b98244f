//! The fault of DoWhiz#1539, reinhardt-web#754 and graphile_worker_rs#337: a scheduler sleeps until the next job is due, and one whose
//! last run still goes on is put off, which for this kind of job does nothing. It stays due, the sleep is over before it
//! begins, and the scheduler looks at it again and again. From the 9th second on a run of one job of 24 takes three minutes. The
//! twin moves it on.

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod job {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    pub(crate) struct Job {
        pub(crate) number: u64,
        pub(crate) due: Instant,
        pub(crate) period: Duration,
        running: Arc<AtomicBool>,
        runs: u64,
    }

    impl Job {
        pub(crate) fn new(number: u64) -> Self {
            let period = Duration::from_millis(250 + zoo::mix(number) % 1_500);
            Job { number, due: Instant::now() + period, period, running: Arc::default(), runs: 0 }
        }

        pub(crate) fn is_running(&self) -> bool {
            self.running.load(Relaxed)
        }

        /// Starts a run, and is due again a period later.
        pub(crate) fn start(&mut self) {
            self.due += self.period;
            self.runs += 1;
            self.running.store(true, Relaxed);
            let (running, number) = (self.running.clone(), self.number);
            let is_long = number == 17 && self.period * self.runs as u32 > Duration::from_secs(9);
            diag::spawn(async move {
                let ms = if is_long { 180_000 } else { 10 + zoo::mix(number) % 40 };
                sleep(Duration::from_millis(ms)).await;
                running.store(false, Relaxed);
            });
        }
    }
}

mod scheduler {
    use tokio::time::{Instant, sleep_until};

    use crate::job::Job;

    /// Puts off a job that still runs, if it is one that is run by the clock.
    fn put_off(job: &mut Job) {
        if zoo::healthy() {
            job.due = Instant::now() + job.period;
        }
    }

    /// Runs what is due.
    pub(crate) async fn run(mut jobs: Vec<Job>) {
        loop {
            // FAULT
            let Some(next) = jobs.iter_mut().min_by_key(|job| job.due) else { return };
            sleep_until(next.due).await; // FAULT
            for job in jobs.iter_mut().filter(|job| job.due <= Instant::now()) {
                if job.is_running() {
                    put_off(job); // FAULT
                } else {
                    job.start();
                }
            }
        }
    }
}

async fn request(n: u64) -> usize {
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    (0..20).map(|job| format!("{{\"job\":{job},\"at\":{n}}}").len()).sum()
}

#[tokio::main]
async fn main() {
    zoo::start();
    diag::spawn(scheduler::run((0..24).map(job::Job::new).collect())); // FAULT
    zoo::every(30, |n| {
        diag::spawn(request(n));
    })
    .await;
}
