//! `diag diff BEFORE AFTER`: what changed, and what of it leaks.

use std::path::PathBuf;

use diag_diff::{Policy, Series, judge_series_with};

use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::Output;
use super::report_files::ReportFiles;
use super::series::{self, Head, Reader};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag diff before.diag after.diag --format markdown")]
pub(crate) struct Args {
    /// The earlier snapshot
    before: PathBuf,
    /// The later snapshot of the same service
    after: PathBuf,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    series::as_given([&args.before, &args.after], args.debug.files()?, |series, reader| {
        compare(series, reader, &Policy::default(), None, output)
    })
}

/// Compares, judges and prints: what `diff` and `check` have in common.
pub(super) fn compare(
    series: &Series<Head>,
    reader: &Reader,
    policy: &Policy,
    files: Option<&ReportFiles>,
    output: &Output,
) -> Result<End, Failure> {
    let report = judge_series_with(series, policy, |head| reader.open(head))?;
    let report = report.ok_or_else(|| Failure::Usage("two snapshots are needed".to_owned()))?;
    if let Some(files) = files {
        files.put(&report, output)?;
    }
    output.report(&report)?;
    Ok(End::from(&report))
}
