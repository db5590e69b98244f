//! Runs cases and keeps what their agents answer: `DIR/NAME/SSS.diag`, by the second of the run.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use crate::recorded::DONE;
use crate::runs::{self, Run};

/// So long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only runs whose name begins so; may be given again
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Time between two snapshots; there is one of the first and one of the second second, too
    #[arg(long, default_value_t = 5)]
    every: u64,
    /// So many run at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Leave out what is in the folder already
    #[arg(long)]
    missing: bool,
    /// Where the folders go
    dir: PathBuf,
}

pub(crate) fn record(args: &Args) -> anyhow::Result<ExitCode> {
    let mut runs = runs::read(&crate::home().join("truth.toml"), &args.only)?;
    runs.retain(|run| !args.missing || !args.dir.join(run.name()).join(DONE).exists());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let failed = runtime.block_on(async {
        let ended = futures_util::stream::iter(&runs).map(|run| one(args, run)).buffer_unordered(args.jobs);
        let failed = ended.filter(|went_well| std::future::ready(!went_well)).count();
        // Dropped, the runs end with us, which they do not where a signal ends us.
        let mut stop = signal(SignalKind::terminate())?;
        tokio::select! {
            failed = failed => Ok(failed),
            _ = stop.recv() => bail!("asked to stop"),
        }
    })?;
    println!("{} recorded, {failed} failed", runs.len() - failed);
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Records one run and tells how it went.
async fn one(args: &Args, run: &Run) -> bool {
    let recorded = try_one(args, run).await;
    match &recorded {
        Ok((files, bytes)) => println!("{}: {files} snapshots, {} KiB", run.name(), bytes >> 10),
        Err(error) => println!("{}: {error:#}", run.name()),
    }
    recorded.is_ok()
}

async fn try_one(args: &Args, run: &Run) -> anyhow::Result<(usize, usize)> {
    let dir = args.dir.join(run.name());
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    // Lines move with every edit: the recorded files are judged by the source that they were recorded from.
    fs::copy(crate::source_of(run.program()), dir.join("source.rs"))?;
    let (mut child, url) = start(run, &dir)?;
    let started = Instant::now();
    let (mut files, mut bytes) = (0, 0);
    for second in moments(args) {
        sleep_until(started + Duration::from_secs(second)).await;
        if let Some(ended) = child.try_wait()? {
            bail!("ended by itself before second {second}: {ended}");
        }
        let snapshot = ask(&url, child.id()).await.with_context(|| format!("at second {second}"))?;
        fs::write(dir.join(format!("{second:03}.diag")), &snapshot)?;
        (files, bytes) = (files + 1, bytes + snapshot.len());
    }
    child.kill().await?;
    File::create(dir.join(DONE))?;
    Ok((files, bytes))
}

/// Starts a case with an agent of its own, which ends with us.
fn start(run: &Run, dir: &Path) -> anyhow::Result<(Child, String)> {
    let program = std::env::current_exe()?.with_file_name(run.program());
    let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let child = Command::new(&program)
        .args(run.arguments())
        .env("DIAG_ADDR", addr.to_string())
        .env("ZOO_TRUTH", "1")
        .stdin(Stdio::null())
        .stdout(File::create(dir.join("truth.log"))?)
        .stderr(File::create(dir.join("stderr.log"))?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    Ok((child, format!("http://{addr}/snapshot")))
}

/// The seconds at which snapshots are taken.
fn moments(args: &Args) -> impl Iterator<Item = u64> {
    let regular = (1..).map(|n| n * args.every).take_while(|&second| second <= args.seconds);
    [1, 2].into_iter().filter(|second| *second < args.every).chain(regular)
}

async fn ask(url: &str, pid: Option<u32>) -> anyhow::Result<Vec<u8>> {
    let answer = async { reqwest::get(url).await?.error_for_status()?.bytes().await };
    let bytes = timeout(PATIENCE, answer).await.context("no answer in time")??;
    let (snapshot, damages) = diag_snapshot::read(&bytes)?;
    ensure!(damages.is_empty(), "the snapshot is damaged: {}", damages[0]);
    ensure!(Some(snapshot.process.pid) == pid, "another process answered");
    Ok(bytes.to_vec())
}
