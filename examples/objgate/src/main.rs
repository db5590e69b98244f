//! The gateway, with its store and its clients: `objgate run DIR --fault NAME`, then `diag check DIR`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use objgate::{Load, Run};
use tracing_subscriber::prelude::*;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// An upload gateway over an S3 server, which makes a mistake if it is asked to.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the gateway under load, and writes snapshots of it.
    Run(Run),
    /// The store, in a process of its own.
    #[command(hide = true)]
    S3 {
        /// Its folder.
        root: PathBuf,
    },
    /// The clients, in a process of their own.
    #[command(hide = true)]
    Clients {
        /// Where the gateway is.
        gateway: String,
        /// What they do.
        load: Load,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match args.command {
        Command::Run(run) => {
            tracing_subscriber::registry().with(diag_tracing::Layer::new()).init();
            let _diag = diag::Builder::new()
                .service("objgate")
                .allocator_stats(diag::glibc_stats)
                .heap_rate(64 << 10)
                .agent(false)
                .start();
            runtime()?.block_on(run.run())
        }
        Command::S3 { root } => runtime()?.block_on(objgate::serve_store(&root)),
        Command::Clients { gateway, load } => runtime()?.block_on(objgate::drive(&gateway, load)),
    }
}
