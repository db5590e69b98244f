//! `diag diff BEFORE AFTER`: what changed, and what of it leaks.

use std::path::PathBuf;

use diag_analysis::Analysis;
use diag_diff::{Policy, Series, judge_series};

use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::Output;
use super::progress::Progress;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The earlier snapshot
    before: PathBuf,
    /// The later snapshot of the same service
    after: PathBuf,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let series = load::series([&args.before, &args.after], &args.debug.files()?)?;
    compare(&series, &Policy::default(), output)
}

/// Compares, judges and prints: what `diff` and `check` have in common.
pub(super) fn compare(series: &Series<Analysis>, policy: &Policy, output: &Output) -> Result<End, Failure> {
    let progress = Progress::of("comparing".to_owned());
    let report = judge_series(series, policy).map_err(Failure::NotComparable)?;
    let report = report.ok_or_else(|| Failure::Usage("two snapshots are needed".to_owned()))?;
    drop(progress);
    output.report(&report)?;
    Ok(End::from(&report))
}
