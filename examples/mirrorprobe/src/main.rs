//! The prober, with its mirrors: `mirrorprobe run DIR --fault NAME`, then `diag check DIR`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mirrorprobe::{Once, Run, Script, Standing};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// A check of mirrors, which makes a mistake if it is asked to. Exit code 0: all answer, 1: some do not, 3: none does, 4: nobody knows.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks mirrors again and again, and writes snapshots of that.
    Run(Run),
    /// Checks each of these mirrors once, as a step of CI does.
    Check(Once),
    /// Mirrors that behave so, for as long as the standard input is open; the first line has their addresses.
    Mirrors {
        /// How each behaves.
        scripts: Vec<Script>,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            Standing::Unknown.into()
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _diag = diag::Builder::new()
        .service("mirrorprobe")
        .allocator_stats(diag::glibc_stats)
        .heap_rate(64 << 10)
        .agent(false)
        .start();
    runtime.block_on(async {
        Ok(match command {
            Command::Run(run) => run.run().await?.into(),
            Command::Check(once) => once.run().await?.into(),
            Command::Mirrors { scripts } => mirrorprobe::serve(&scripts).await.map(|()| ExitCode::SUCCESS)?,
        })
    })
}
