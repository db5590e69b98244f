//! A check whether a mirror has a package: the cache, the fuse, a permit, an attempt with a timeout, and retries that back off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use diag::task::Scope;
use tokio::time::{sleep, timeout};

use crate::Fault;
use crate::mirror::Mirror;
use crate::prober::Prober;
use crate::report::{Outcome, Report};

/// So many attempts.
const ATTEMPTS: u32 = 3;
/// The pause after the first of them; each one after that is twice as long.
const BACK_OFF: Duration = Duration::from_millis(50);
/// The pause of a prober that does not back off.
const CONSTANT: Duration = Duration::from_millis(250);
/// What failed is checked anew after this time, by one that spawns for it.
const LATER: Duration = Duration::from_secs(3);
/// Reports have so many bytes of an index.
const HEAD: usize = 16 << 10;

/// A check.
#[derive(Clone)]
pub(crate) struct Check {
    prober: Arc<Prober>,
    id: String,
    mirror: usize,
    package: u64,
}

/// What came of a check, before it is told.
struct Ended {
    outcome: Outcome,
    attempts: u32,
    index: Bytes,
}

impl Ended {
    fn without_attempt(outcome: Outcome) -> Self {
        Ended { outcome, attempts: 0, index: Bytes::new() }
    }
}

impl Check {
    pub(crate) fn new(prober: Arc<Prober>, mirror: usize, package: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed));
        Check { prober, id, mirror, package }
    }

    /// Labels for its task, and for what that spawns.
    pub(crate) fn scope(&self) -> Scope {
        diag::scope("request_id", &self.id).label("mirror", self.mirror)
    }

    fn mirror(&self) -> &Mirror {
        &self.prober.mirrors[self.mirror]
    }

    /// Runs it, and tells what came of it.
    pub(crate) async fn run(self) {
        self.prober.begun.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let ended = self.ask().await;
        self.tell(ended, begun.elapsed());
        self.prober.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, ended: Ended, took: Duration) {
        let Ended { outcome, attempts, index } = ended;
        self.mirror().remember(outcome);
        self.prober.metrics.count(self.mirror, outcome.as_str(), &self.id, took);
        let head = index[..index.len().min(HEAD)].to_vec(); // FAULT broadcast-lag
        let url = self.mirror().url.clone();
        self.prober.feed.tell(Report { id: self.id.clone(), url, outcome, attempts, took, head });
    }

    async fn ask(&self) -> Ended {
        let key = (self.mirror, self.package);
        if self.prober.cache.has_fresh(key) {
            return Ended::without_attempt(Outcome::Cached);
        }
        if !self.mirror().fuse.lets_through() {
            return Ended::without_attempt(Outcome::Refused);
        }
        let ended = match self.prober.fault {
            Some(Fault::RetryStorm) => self.storm().await,
            Some(Fault::SpawnPerRetry) => self.attempt_and_spawn().await,
            _ => self.back_off().await,
        };
        if ended.outcome == Outcome::Answered {
            self.prober.cache.insert(key, &ended.index);
        }
        ended
    }

    /// Tries again as long as that may help, after longer and longer pauses.
    async fn back_off(&self) -> Ended {
        let (mut attempts, mut pause) = (1, BACK_OFF);
        loop {
            let (outcome, index) = self.attempt().await;
            self.mirror().fuse.hear(outcome == Outcome::Answered);
            if outcome != Outcome::Failed || attempts == ATTEMPTS || self.mirror().fuse.is_open() {
                return Ended { outcome, attempts, index };
            }
            sleep(pause).await;
            (attempts, pause) = (attempts + 1, pause * 2);
        }
    }

    /// Tries again until it helps.
    async fn storm(&self) -> Ended {
        let mut attempts = 1;
        loop {
            let (outcome, index) = self.attempt().await; // FAULT retry-storm
            if outcome != Outcome::Failed {
                self.mirror().fuse.hear(outcome == Outcome::Answered);
                return Ended { outcome, attempts, index };
            }
            sleep(CONSTANT).await; // FAULT retry-storm
            attempts += 1;
        }
    }

    /// Leaves it to two others to try again.
    async fn attempt_and_spawn(&self) -> Ended {
        let (outcome, index) = self.attempt().await;
        self.mirror().fuse.hear(outcome == Outcome::Answered);
        if outcome == Outcome::Failed {
            (0..2).for_each(|_| self.clone().spawn_again());
        }
        Ended { outcome, attempts: 1, index }
    }

    fn spawn_again(self) {
        self.prober.again.fetch_add(1, Ordering::Relaxed);
        let again = async move {
            sleep(LATER).await;
            Box::pin(self.attempt_and_spawn()).await;
            self.prober.again.fetch_sub(1, Ordering::Relaxed);
        };
        diag::spawn(again); // FAULT spawn-per-retry
    }

    async fn attempt(&self) -> (Outcome, Bytes) {
        let mirror = self.mirror();
        let Ok(_permit) = mirror.permits.acquire().await else { return (Outcome::Refused, Bytes::new()) };
        mirror.begun.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}/{}", mirror.url, self.package);
        let asked = self.prober.client.get(&url);
        let answer = match self.prober.fault {
            Some(Fault::NoTimeout) => Ok(asked.await), // FAULT no-timeout
            _ => timeout(self.prober.timeout, asked).await,
        };
        mirror.ended.fetch_add(1, Ordering::Relaxed);
        match answer {
            Err(_) => (Outcome::TimedOut, Bytes::new()),
            Ok(Err(_)) => (Outcome::Failed, Bytes::new()),
            Ok(Ok(index)) => (Outcome::Answered, index),
        }
    }
}
