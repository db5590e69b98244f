//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Side-by-side benchmarks of diag and the tools nearest to it.
#[derive(Parser, Debug)]
#[command(name = "diag-peers")]
pub(crate) struct Cli {
    /// What to compare.
    pub(crate) what: What,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Fewer rounds and sizes, no peer a second time with flags: sooner done, and the band wider.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only rows of these names, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Count instructions and take no times, no memory.
    #[arg(long)]
    pub(crate) instructions_only: bool,
    /// Take times and memory, and leave valgrind out.
    #[arg(long, conflicts_with_all = ["instructions_only", "gate"])]
    pub(crate) no_instructions: bool,
    /// Fail (exit code 1) if an instruction count is more than 5 % above the one in this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) gate: Option<PathBuf>,
}

/// The three comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Task recorders: spawn, poll, channel round trip, memory of a parked task.
    Tasks,
    /// Heap profilers: allocate and free, realloc, big blocks.
    Heap,
    /// Small services under load: what linking diag costs it, switched on and off.
    Service,
}

impl Cli {
    /// Whether rows of this name are asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Rounds of timing processes; none if only instructions are asked for.
    pub(crate) fn rounds(&self) -> usize {
        match (self.instructions_only, self.what, self.quick) {
            (true, _, _) => 0,
            (false, What::Service, true) => 11,
            (false, What::Service, false) => 41,
            (false, _, true) => 5,
            (false, _, false) => 15,
        }
    }
}
