//! The prober: the mirrors, what is known of them, and the tasks that check them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diag::task::JoinHandle;
use tokio::time::interval;

use crate::Fault;
use crate::cache::Cache;
use crate::check::Check;
use crate::client::Client;
use crate::feed::Feed;
use crate::metrics::Metrics;
use crate::mirror::Mirror;
use crate::standing::Standing;

/// What is not fresh any more goes from the cache so often.
const SWEEP: Duration = Duration::from_millis(250);

/// The prober.
pub(crate) struct Prober {
    pub(crate) fault: Option<Fault>,
    /// An attempt may take so long.
    pub(crate) timeout: Duration,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) client: Client,
    pub(crate) cache: Cache,
    pub(crate) metrics: Metrics,
    pub(crate) feed: Feed,
    /// How many checks were begun, and how many of them have ended.
    pub(crate) begun: AtomicU64,
    pub(crate) ended: AtomicU64,
    /// How many that were spawned to try again are there.
    pub(crate) again: AtomicU64,
}

impl Prober {
    /// Of the mirrors with these addresses.
    pub(crate) fn new(
        urls: impl Iterator<Item = String>,
        timeout: Duration,
        fault: Option<Fault>,
    ) -> Arc<Self> {
        Arc::new(Prober {
            fault,
            timeout,
            mirrors: urls.map(|url| Mirror::new(url, fault)).collect(),
            client: Client::new(),
            cache: Cache::new(fault),
            metrics: Metrics::new(fault),
            feed: Feed::new(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            again: AtomicU64::new(0),
        })
    }

    /// Starts to check whether a mirror has a package.
    pub(crate) fn start(self: &Arc<Self>, mirror: usize, package: u64) -> JoinHandle<()> {
        let check = Check::new(self.clone(), mirror, package);
        check.scope().spawn(check.run()) // FAULT retry-storm no-timeout
    }

    /// Checks all mirrors again and again, each package twice.
    pub(crate) async fn go_on(self: Arc<Self>, every: Duration) {
        let mut rounds = interval(every);
        for number in 0.. {
            rounds.tick().await;
            (0..self.mirrors.len()).for_each(|mirror| drop(self.start(mirror, number / 2)));
        }
    }

    /// Sweeps the cache for as long as the prober is there.
    pub(crate) async fn sweep(self: Arc<Self>) {
        let mut rounds = interval(SWEEP);
        loop {
            rounds.tick().await;
            self.cache.sweep();
        }
    }

    /// How the mirrors stand.
    pub(crate) fn standing(&self) -> Standing {
        Standing::of(self.mirrors.iter().map(Mirror::last))
    }

    /// How many checks are under way.
    pub(crate) fn under_way(&self) -> u64 {
        self.begun.load(Ordering::Relaxed).saturating_sub(self.ended.load(Ordering::Relaxed))
    }
}
