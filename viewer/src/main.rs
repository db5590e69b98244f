//! `diag`: looks at snapshots of a service, compares them and says what leaks.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::{Args, Command, exit};

fn main() -> ExitCode {
    let args = Args::parse();
    let output = args.output();
    exit::code(match args.command {
        Command::Show(show) => cli::show::run(&show, &output),
        Command::Diff(diff) => cli::diff::run(&diff, &output),
        Command::Check(check) => cli::check::run(&check, &output),
        Command::Ci(ci) => cli::ci::run(&ci, &output),
        Command::Trend(trend) => cli::trend::run(&trend, &output),
        Command::Watch(watch) => cli::watch::run(&watch, &output),
        Command::Snap(snap) => cli::snap::run(&snap, &output),
        Command::Memdiff(memdiff) => cli::memdiff::run(&memdiff, &output),
        Command::Export(export) => cli::export::run(&export, &output),
        Command::Import(import) => cli::import::run(&import, &output),
        Command::Explain(explain) => cli::explain::run(&explain, &output),
        Command::Policy(policy) => cli::policy::run(&policy, &output),
        Command::Baseline(baseline) => cli::baseline::run(&baseline, &output),
        Command::Doctor(doctor) => cli::doctor::run(&doctor, &output),
        Command::Verify(verify) => cli::verify::run(&verify, &output),
        Command::Serve(serve) => cli::serve::run(serve),
        #[cfg(feature = "console")]
        Command::Console(console) => cli::console::run(console),
        Command::Completions(completions) => cli::completions::run(&completions),
    })
}
