//! Beside `tracing`: events go their way as ever, and the names of tasks are the words of their spans.
//!
//! `cargo run --release -p diag-examples --example tracing`; its last lines are what `/dump` would say, where the
//! two tasks have their names.

use std::io::{self, Write};
use std::time::Duration;

use tracing::{Instrument, info, info_span};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    diag::Builder::new().agent(false).init();
    for device in [7, 8] {
        let name = format!("device {device}");
        let span = info_span!("device", device);
        diag::task::Builder::new().name(&name).spawn(serve().instrument(span))?;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (snapshot, _) = diag_snapshot::read(&diag::snapshot().to_bytes())?;
    io::stdout().write_all(diag_analysis::dump::dump(&snapshot.into()).as_bytes())?;
    Ok(())
}

async fn serve() {
    info!("connected");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
}
