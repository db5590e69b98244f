//! What the runner knows of itself, from its own bookkeeping: what a diagnosis is measured against.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::runner::Runner;

/// The runner's own account of itself at one moment. Nothing in it comes from the recorder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Truth {
    /// `plugtest.truth/1`.
    pub schema: String,
    /// The mistake that it makes, if any.
    pub fault: Option<String>,
    /// The lines at fault.
    pub lines: Vec<String>,
    /// How many times the mistake was made so far: what stays of it, or panics of which nobody was told.
    pub count: u64,
    /// Suites that were begun, and that have ended.
    pub suites: [u64; 2],
    /// Tests that passed, and that failed.
    pub tests: [u64; 2],
    /// Mails that mocks were asked for.
    pub mails: u64,
    /// Refunds, each with a check that panics.
    pub refunds: u64,
    /// Scratch folders that are there.
    pub scratches: u64,
    /// Tasks that watch files.
    pub watchers: u64,
    /// Pools that are kept.
    pub pools: u64,
    /// Databases that processes have not given back, and files of them on the disk.
    pub leases: [u64; 2],
    /// Runtimes that are kept.
    pub runtimes: u64,
}

impl Truth {
    pub(crate) fn of(runner: &Runner) -> Self {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let fault = runner.fault;
        let [pools, leases, runtimes] = runner
            .kept(|kept| [kept.pools.len(), kept.leases.len(), kept.runtimes.len()].map(|len| len as u64));
        let mut truth = Truth {
            schema: "plugtest.truth/1".to_owned(),
            fault: fault.map(Fault::name),
            lines: fault.map(Fault::lines).unwrap_or_default(),
            count: 0,
            suites: runner.suites.each_ref().map(value),
            tests: runner.tests.each_ref().map(value),
            mails: value(&runner.mails),
            refunds: value(&runner.refunds),
            scratches: value(&runner.scratches),
            watchers: runner.watch.live(),
            pools,
            leases: [leases, files(runner)],
            runtimes,
        };
        truth.count = truth.count(fault);
        truth
    }

    fn count(&self, fault: Option<Fault>) -> u64 {
        match fault {
            None => 0,
            Some(Fault::PoolPerTest) => self.pools,
            Some(Fault::SharedMock) => self.mails,
            Some(Fault::Exit | Fault::Abort) => self.leases[0],
            Some(Fault::Forget) => self.scratches,
            Some(Fault::UnobservedPanic) => self.refunds,
            Some(Fault::LateInit) => self.watchers,
            Some(Fault::RuntimePerTest) => self.runtimes,
        }
    }
}

/// Databases of processes on the disk.
fn files(runner: &Runner) -> u64 {
    let names = std::fs::read_dir(&runner.dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("isolated-")).count() as u64
}
