//! `diag diff BEFORE AFTER`: what changed, and what of it leaks.

use std::path::PathBuf;

use diag_analysis::symbols::DebugFiles;
use diag_diff::{Policy, diff_with, judge};

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
    compare(&args.before, &args.after, &args.debug.files()?, &Policy::default(), output)
}

/// Reads, compares, judges and prints: what `diff` and `check` have in common.
pub(super) fn compare(
    before: &std::path::Path,
    after: &std::path::Path,
    debug: &DebugFiles,
    policy: &Policy,
    output: &Output,
) -> Result<End, Failure> {
    let (before, after) = (load::whole(before, debug)?, load::whole(after, debug)?);
    let progress = Progress::of("comparing".to_owned());
    let diff = diff_with(&before, &after, policy.diff_options()).map_err(Failure::NotComparable)?;
    let report = judge(&diff, policy);
    drop(progress);
    output.report(&report)?;
    Ok(End::from(&report))
}
