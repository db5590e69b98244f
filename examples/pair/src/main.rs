//! A desk that quotes prices, built as 1.2.0 and as 1.2.1. The newer one leaks its sessions.
//!
//! Clients come, ask for some prices and leave. Four snapshots are written into a folder, and beside them `truth.json`,
//! what the desk itself knows. Without a folder the desk is a service as any other, whose agent is asked.

mod book;
mod clients;
mod desk;
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

use book::Book;
use desk::Desk;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const VERSION: &str = if cfg!(feature = "v1_2_1") { "1.2.1" } else { "1.2.0" };

/// So many show in three windows whether growth goes on.
const SNAPSHOTS: u32 = 4;

/// Quotes prices, and writes snapshots.
#[derive(Parser)]
#[command(version = VERSION)]
struct Args {
    /// Folder for the snapshots; without one it has an agent and quotes until it is ended.
    dir: Option<PathBuf>,
    /// Seconds to the last snapshot.
    #[arg(long, default_value_t = 34)]
    seconds: u32,
    /// Clients that come in a second.
    #[arg(long, default_value_t = 40)]
    clients: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let _diag = diag::Builder::new()
        .service("quotedesk")
        .resource_attribute("service.version", VERSION)
        .heap_rate(128 << 10)
        .agent(args.dir.is_none())
        .start();
    let desk = Arc::new(Desk::new(Book::default()));
    diag::spawn(clients::come(desk.clone(), args.clients));
    match &args.dir {
        Some(dir) => write_snapshots(dir, args.seconds, &desk).await,
        None => std::future::pending().await,
    }
}

/// Writes them, the first one soon, the others with three tenths of the time in between.
async fn write_snapshots(dir: &Path, seconds: u32, desk: &Desk) -> anyhow::Result<()> {
    let started = Instant::now();
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for number in 1..=SNAPSHOTS {
        let moment = Duration::from_secs(seconds.into()) * (3 * number - 2) / 10;
        tokio::time::sleep(moment.saturating_sub(started.elapsed())).await;
        diag::snapshot_to(dir.join(format!("{number}.diag")))?;
        let truth = serde_json::to_string_pretty(&desk.truth())?;
        std::fs::write(dir.join("truth.json"), truth)?;
    }
    Ok(())
}
