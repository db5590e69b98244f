//! `diag check A B C...`, `diag check DIR` or `diag check BASE TARGET`: a gate for CI, under a policy.

use std::path::PathBuf;

use diag_diff::Series;

use super::diff;
use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::Output;
use super::policy::PolicyArgs;
use super::report_files::ReportFiles;
use super::series::{self, Head, Reader};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag check snapshots/ --policy diag.toml\n  diag check snapshots/ --write markdown=report.md --write gitlab=quality.json"
)]
pub(crate) struct Args {
    /// Two or more snapshots of one service, or a folder of them; all are judged together. Of two folders with a process each, as of
    /// a base and a canary, the second is judged, beside the first
    #[arg(required = true)]
    snapshots: Vec<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    files: ReportFiles,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let policy = args.policy.wanted()?;
    let debug = args.debug.files()?;
    let judge = |series: &Series<Head>, reader: &Reader| {
        diff::compare(series, reader, &policy, Some(&args.files), output)
    };
    match &args.snapshots[..] {
        [one] if !one.is_dir() => Err(Failure::Usage(format!(
            "one snapshot cannot be compared: give another one taken later than {}, or a folder of them",
            one.display()
        ))),
        // Of a pair the order says which is meant to be the later one.
        [before, after] if !before.is_dir() && !after.is_dir() => {
            series::as_given([before, after], debug, judge)
        }
        all => series::in_order(all, debug, judge),
    }
}
