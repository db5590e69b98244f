//! Records the cases of the zoo, and scores what diag says of the recorded files.
//!
//! The two are apart so that a rule can be changed and judged in seconds on series that took an hour to record. What is
//! right stands in `truth.toml`; nothing here knows a case by name.

mod answer;
mod record;
mod recorded;
mod runs;
mod score;
mod totals;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs each case and writes its snapshots into a folder of its own
    Record(record::Args),
    /// Says how right `diag check` is about what was recorded
    #[command(after_help = "Exit code 0: no bar is missed. 1: some are.")]
    Score(score::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().command {
        Command::Record(args) => record::record(&args),
        Command::Score(args) => score::score(&args),
    }
}

/// Where the sources and `truth.toml` of the zoo lie.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the source of a program lies.
fn source_of(program: &str) -> PathBuf {
    home().join("src/bin").join(program).with_extension("rs")
}
