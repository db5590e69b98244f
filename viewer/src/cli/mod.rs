//! The command line: one file for each subcommand, and what they share.
//!
//! Subcommands read, ask the core and print; what they print is rendered by `diag-diff` and
//! `diag-snapshot`. No verdict is made here.

mod asking;
pub(crate) mod baseline;
mod browser;
pub(crate) mod check;
pub(crate) mod ci;
pub(crate) mod completions;
#[cfg(feature = "console")]
pub(crate) mod console;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod exit;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
mod load;
pub(crate) mod memdiff;
pub(crate) mod output;
pub(crate) mod policy;
mod post_mortem;
mod process_facts;
mod process_memory;
mod progress;
mod report_files;
mod series;
pub(crate) mod serve;
mod shots;
pub(crate) mod show;
pub(crate) mod snap;
pub(crate) mod trend;
pub(crate) mod verify;
pub(crate) mod watch;

use clap::{Parser, Subcommand};

use output::{Colour, Format, Output};

const EXIT_CODES: &str = "\
Exit codes:
  0  clean, or nothing of the confidence that fails
  1  findings: a leak, stuck, runaway or fault of the confidence that fails (default: likely)
  2  wrong usage or policy
  3  a file or an answer cannot be read, or is damaged
  4  the snapshots cannot be compared, or another service answered than `snap --service` names
  5  insufficient data: too little to call it clean
2, 3 and 4 come before 1, and 1 before 5. `check`, `diff`, `watch`, `ci` and `baseline check` judge. `show`, `explain`, `export`, `import`, `policy`, `doctor`, `verify`, `baseline record`, `serve`, `console` and `completions` give 0, 2 or 3 only, `snap` and `trend` also 4.";

/// Find which tasks leak: look at snapshots of a service and compare them.
#[derive(Debug, Parser)]
#[command(name = "diag", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// When to colour text; `auto` is on a terminal and without NO_COLOR
    #[arg(long, visible_alias = "colour", global = true, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what is in a snapshot
    Show(show::Args),
    /// Compare two snapshots and say what leaks
    Diff(diff::Args),
    /// Gate for CI: judge all snapshots of a service together, under a policy
    Check(check::Args),
    /// Start a service, load it, judge it and end it: one line of a workflow
    Ci(ci::Args),
    /// Show a series as a table: tasks, heap and resident memory at each moment
    Trend(trend::Args),
    /// Take snapshots of a running service until the answer is firm
    Watch(watch::Args),
    /// Fetch a snapshot from a running service, or what the system says of a process, into a file
    Snap(snap::Args),
    /// Compare the memory of a process at two moments, from cores or live, and name what fills
    Memdiff(memdiff::Args),
    /// Write a snapshot in the format of another tool
    Export(export::Args),
    /// Make a snapshot of a file of another tool
    Import(import::Args),
    /// Explain a rule, and what a policy can tell it
    Explain(explain::Args),
    /// Read a policy and say whether it is one
    Policy(policy::Args),
    /// How a suite usually behaves, and which dimension of that changed
    Baseline(baseline::Args),
    /// Say whether a service is set up so that its snapshots show what they could, and how to mend what is not
    Doctor(doctor::Args),
    /// Say whether snapshot files are whole
    Verify(verify::Args),
    /// Look at snapshots and running services in a browser
    Serve(serve::Args),
    /// Show a running service in tokio-console
    #[cfg(feature = "console")]
    Console(console::Args),
    /// Print what a shell needs to complete commands and flags
    Completions(completions::Args),
}

impl Args {
    pub(crate) fn output(&self) -> Output {
        Output::new(self.format, self.color)
    }
}
