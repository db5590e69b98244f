//! A run: the mirrors, the prober, and snapshots of it beside what it knows itself.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use diag_trial::moments::Moments;
use diag_trial::outside::Process;
use diag_trial::truth;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::prober::Prober;
use crate::standing::Standing;
use crate::truth::Truth;
use crate::{Fault, Load, dashboard, log, mirrors};

/// An attempt may take so long.
const TIMEOUT: Duration = Duration::from_millis(400);

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Folder for the snapshots, truth.json and probe.log.
    pub dir: PathBuf,
    /// A mistake to make; healthy without.
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
    /// Which mirrors there are, and how often they are asked.
    #[arg(long, value_enum, default_value = "mixed")]
    pub load: Load,
    /// When snapshots are taken.
    #[command(flatten)]
    pub moments: Moments,
}

impl Run {
    /// Runs it to its end, and says how the mirrors stand.
    ///
    /// # Errors
    /// If a process, a folder or a port is not to be had.
    pub async fn run(&self) -> anyhow::Result<Standing> {
        let started = Instant::now();
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let (mirrors, urls) = Process::start(&mirrors::arguments(&self.load.scripts())).await?;
        let prober = Prober::new(urls.split(' ').map(str::to_owned), TIMEOUT, self.fault);
        let look = self.start(&prober)?;
        for (number, moment) in self.moments.all() {
            sleep_until(started + moment).await;
            diag::snapshot_to(self.dir.join(format!("{number:02}.diag")))?;
            truth::write(&self.dir, &Truth::of(&prober))?;
            // From now on nobody looks at the dashboard.
            look.send_replace(false);
        }
        mirrors.end().await?;
        Ok(prober.standing())
    }

    /// Starts all tasks; the result says whether somebody looks at the dashboard.
    fn start(&self, prober: &Arc<Prober>) -> anyhow::Result<watch::Sender<bool>> {
        let (look, is_seen) = watch::channel(true);
        let file = create(&self.dir.join("probe.log"))?;
        diag::spawn(log::write(prober.feed.listen(), file));
        diag::spawn(dashboard::show(prober.feed.clone(), is_seen, self.fault));
        diag::spawn(prober.clone().sweep());
        diag::spawn(prober.clone().go_on(self.load.every()));
        Ok(look)
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("cannot make {}", path.display()))?))
}
