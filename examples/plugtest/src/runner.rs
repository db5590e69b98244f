//! The runner: its plugins, and all that it counts and keeps.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use diag::Counted;
use sqlx::SqlitePool;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use crate::isolated::Lease;
use crate::journal::Journal;
use crate::mock::Mock;
use crate::plugin::{Plugin, Verdict};
use crate::suite::Suite;
use crate::watch::Watch;
use crate::{Fault, Load};

/// So many suites run beside each other: where the machine is busy there are fewer of them, and they do not pile up.
const SUITES: usize = 2;

/// The runner.
pub(crate) struct Runner {
    pub(crate) fault: Option<Fault>,
    /// Where the files of its suites are.
    pub(crate) dir: PathBuf,
    /// Whether processes of tests have a leak guard.
    pub(crate) is_guarded: bool,
    pub(crate) watch: Watch,
    journal: Journal,
    /// Suites that were begun, and that have ended.
    pub(crate) suites: [AtomicU64; 2],
    /// Tests that passed, and that failed.
    pub(crate) tests: [AtomicU64; 2],
    pub(crate) mails: AtomicU64,
    pub(crate) refunds: AtomicU64,
    /// Scratch folders that are there.
    pub(crate) scratches: Arc<AtomicU64>,
    others: AtomicU64,
    mock: OnceLock<Mock>,
    kept: Mutex<Kept>,
}

/// What is kept for the shutdown.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) pools: Vec<SqlitePool>,
    pub(crate) leases: Vec<Counted<Lease>>,
    pub(crate) runtimes: Vec<Runtime>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // None may be dropped inside of another.
        self.runtimes.drain(..).for_each(Runtime::shutdown_background);
    }
}

impl Runner {
    pub(crate) fn new(dir: &Path, fault: Option<Fault>, is_guarded: bool) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Runner {
            fault,
            dir: dir.to_owned(),
            is_guarded,
            watch: Watch::default(),
            journal: Journal::create(dir)?,
            suites: Default::default(),
            tests: Default::default(),
            mails: AtomicU64::new(0),
            refunds: AtomicU64::new(0),
            scratches: Arc::default(),
            others: AtomicU64::new(0),
            mock: OnceLock::new(),
            kept: Mutex::default(),
        }))
    }

    /// Those that are told of suites and tests, in this order.
    pub(crate) fn plugins(&self) -> [&dyn Plugin; 2] {
        [&self.watch, &self.journal]
    }

    /// Runs suites of a load again and again.
    pub(crate) async fn go_on(self: Arc<Self>, load: Load) {
        let permits = Arc::new(Semaphore::new(SUITES));
        let mut rounds = interval(load.every());
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0.. {
            rounds.tick().await;
            // Nobody closes it.
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            let suite = self.clone().suite(number, load);
            diag::spawn(async move {
                // The others go on without it, and it was told on stderr.
                let _ = suite.await;
                drop(permit);
            });
        }
    }

    /// Runs a suite of a load.
    pub(crate) async fn suite(self: Arc<Self>, number: u64, load: Load) -> anyhow::Result<()> {
        self.suites[0].fetch_add(1, Ordering::Relaxed);
        let ran = Suite::run(self.clone(), number, load).await;
        if let Err(error) = &ran {
            eprintln!("suite {number}: {error:#}");
        }
        self.suites[1].fetch_add(1, Ordering::Relaxed);
        ran
    }

    pub(crate) fn count(&self, verdict: Verdict) -> &AtomicU64 {
        &self.tests[usize::from(verdict == Verdict::Failed)]
    }

    /// True for the first, and then of two that ask for one: the others do it right.
    pub(crate) fn is_every_other(&self) -> bool {
        self.others.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }

    /// The one mock of all tests.
    pub(crate) fn shared_mock(&self) -> Mock {
        self.mock.get_or_init(Mock::start).clone()
    }

    pub(crate) fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn keep_pool(&self, pool: SqlitePool) {
        self.kept(|kept| kept.pools.push(pool));
    }

    pub(crate) fn keep_lease(&self, lease: Counted<Lease>) {
        self.kept(|kept| kept.leases.push(lease));
    }

    pub(crate) fn keep_runtime(&self, runtime: Runtime) {
        self.kept(|kept| kept.runtimes.push(runtime));
    }
}
