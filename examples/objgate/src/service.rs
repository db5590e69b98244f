//! A run: the store, the gateway and its clients, and snapshots of the gateway beside what it knows itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use diag_trial::moments::Moments;
use diag_trial::outside::Process;
use diag_trial::truth;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

use crate::audit::Audit;
use crate::gateway::{Gate, app};
use crate::reload::Configuration;
use crate::s3::BUCKET;
use crate::store::Store;
use crate::truth::Truth;
use crate::{Fault, Load, quota};

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Folder for the snapshots, truth.json, audit.log and store.log.
    pub dir: PathBuf,
    /// A mistake to make; healthy without.
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
    /// What the clients do.
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
    /// If a process, a folder or a port is not to be had.
    pub async fn run(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let dir = fs::canonicalize(&self.dir)?;
        let root = dir.join("store");
        fill(&root.join(BUCKET))?;
        let (store, endpoint) = Process::start(&["s3".into(), root.clone()]).await?;
        let gate = self.gate(&dir, endpoint).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        diag::spawn(serve(listener, gate.clone()));
        let mut clients =
            Process::start(&["clients".into(), address.into(), self.load.name().into()]).await?.0;
        for (number, moment) in self.moments.all() {
            sleep_until(started + moment).await;
            self.take(&dir, &root, number, &gate)?;
            if number == 1 {
                clients.go_on().await?;
            }
        }
        clients.end().await?;
        store.end().await?;
        Ok(fs::remove_dir_all(root)?)
    }

    async fn gate(&self, dir: &Path, endpoint: String) -> anyhow::Result<Arc<Gate>> {
        let store = Arc::new(Store::new(endpoint, self.fault)?);
        let audit = Audit::start(&dir.join("audit.log")).await?;
        quota::start(store.clone(), self.fault);
        let configuration = Configuration::new(dir.join("objgate.conf"), self.fault);
        Ok(Gate::start(store, configuration, audit, self.fault))
    }

    fn take(&self, dir: &Path, root: &Path, number: u32, gate: &Gate) -> anyhow::Result<()> {
        diag::snapshot_to(dir.join(format!("{number:02}.diag")))?;
        truth::write(dir, &Truth::of(gate, self.fault, root))
    }
}

async fn serve(listener: TcpListener, gate: Arc<Gate>) -> std::io::Result<()> {
    axum::serve(listener, app(gate)).await
}

/// The objects that are there from the beginning.
fn fill(bucket: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(bucket)?;
    for number in 0..8 {
        for (name, bytes) in [("small", 16 << 10), ("slow", 16 << 10), ("large", 512 << 10)] {
            fs::write(bucket.join(format!("{name}-{number}")), vec![number; bytes])?;
        }
    }
    Ok(())
}
