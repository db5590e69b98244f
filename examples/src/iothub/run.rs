//! A trial: the whole hub under load for some seconds, snapshots of it, and what it knows itself beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep_until};

use super::driver::Driver;
use super::transport::{self, Transport};
use super::{Config, Fault, Hub, Load, Times, Truth};

/// The first snapshot is taken at this second, when all that begins has begun.
const FIRST: u64 = 2;

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Folder for the snapshots and truth.json.
    pub dir: PathBuf,
    /// A mistake to make; healthy without.
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
    /// What the devices do.
    #[arg(long, value_enum, default_value = "mixed")]
    pub load: Load,
    /// Seconds to the last snapshot.
    #[arg(long, default_value_t = 18)]
    pub seconds: u64,
    /// Seconds between two of them; the first is of the second second.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// The times of the fuses are so many times those of a product: 800 ms for an answer, and half a minute open.
    #[arg(long, default_value_t = 0.05, value_parser = scale)]
    pub scale: f64,
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if (0.001..=1000.0).contains(&scale) { Ok(scale) } else { Err("give one from 0.001 to 1000".to_owned()) }
}

impl Run {
    /// Runs it to its end.
    ///
    /// # Errors
    /// If a folder, a port or a thread is not to be had.
    pub async fn run(&self) -> anyhow::Result<Truth> {
        let started = Instant::now();
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let (script, ttl) = self.load.script();
        let (listener, connector) = transport::open(Transport::Tcp).await?;
        let faults = self.fault.into_iter().collect();
        let fuses = Times::default().scaled(self.scale);
        let hub = Hub::start(listener, Config { ttl, faults, is_whole: true, fuses, ..Config::default() });
        let driver = Driver::start(connector, script)?;
        let moments = (FIRST..=self.seconds).step_by(self.every as usize).map(Duration::from_secs);
        for (number, moment) in (1..).zip(moments) {
            sleep_until(started + moment).await;
            diag::snapshot_to(self.dir.join(format!("{number:02}.diag")))?;
            write(&self.dir, &hub.truth())?;
        }
        let truth = hub.truth();
        driver.stop()?;
        Ok(truth)
    }
}

/// Whoever looks for it finds it whole.
fn write(dir: &Path, truth: &Truth) -> anyhow::Result<()> {
    let new = dir.join("truth.new");
    fs::write(&new, serde_json::to_string_pretty(truth)? + "\n")?;
    Ok(fs::rename(new, dir.join("truth.json"))?)
}
