//! A run: suites without end, and snapshots of the runner beside what it knows itself.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use diag_trial::moments::Moments;
use diag_trial::truth;
use tokio::time::{Instant, sleep_until};

use crate::runner::Runner;
use crate::truth::Truth;
use crate::{Fault, Load};

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Folder for the snapshots, truth.json and results.log.
    pub dir: PathBuf,
    /// A mistake to make; healthy without.
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
    /// Which tests the suites have.
    #[arg(long, value_enum, default_value = "mixed")]
    pub load: Load,
    /// When snapshots are taken.
    #[command(flatten)]
    pub moments: Moments,
}

impl Run {
    /// Runs it to its end.
    ///
    /// # Errors
    /// If a folder or a database is not to be had.
    pub fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let _diag = diag::Builder::new()
            .service("plugtest")
            .allocator_stats(diag::glibc_stats)
            .heap_rate(16 << 10)
            .agent(false)
            .start();
        runtime.block_on(self.go_on())
    }

    async fn go_on(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let work = self.dir.join("work");
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        let runner = Runner::new(&fs::canonicalize(work)?, self.fault, false)?;
        diag::spawn(runner.clone().go_on(self.load));
        for (number, moment) in self.moments.all() {
            sleep_until(started + moment).await;
            diag::snapshot_to(self.dir.join(format!("{number:02}.diag")))?;
            truth::write(&self.dir, &Truth::of(&runner))?;
        }
        Ok(())
    }
}
