//! The runner: `plugtest run DIR --fault NAME`, then `diag check DIR`; or `plugtest guarded DIR --fault NAME`, which needs no more.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plugtest::{Guarded, Isolated, Run};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// A test runner with plugins, which makes a mistake if it is asked to.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs suites again and again, and writes snapshots of that.
    Run(Run),
    /// Runs one suite as a test would that has a leak guard; the exit code is 101 if it leaves something behind.
    Guarded(Guarded),
    /// Of the runner: one test in a process of its own.
    Isolated(Isolated),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Run(run) => run.run(),
        Command::Guarded(guarded) => return guarded.run(),
        Command::Isolated(isolated) => isolated.run(),
    };
    done.map_or_else(
        |error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
