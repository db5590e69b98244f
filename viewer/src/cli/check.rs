//! `diag check A B C...` or `diag check DIR`: a gate for CI, under a policy.

use std::path::PathBuf;

use super::diff;
use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::Output;
use super::policy::PolicyArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag check snapshots/ --policy diag.toml")]
pub(crate) struct Args {
    /// Two or more snapshots of one service, or a folder of them; all are judged together
    #[arg(required = true)]
    snapshots: Vec<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let policy = args.policy.wanted()?;
    let debug = args.debug.files()?;
    let series = match &args.snapshots[..] {
        [one] if !one.is_dir() => {
            return Err(Failure::Usage(format!(
                "one snapshot cannot be compared: give another one taken later than {}, or a folder of them",
                one.display()
            )));
        }
        // Of a pair the order says which is meant to be the later one.
        pair @ [before, after] if !before.is_dir() && !after.is_dir() => load::series(pair, &debug)?,
        all => load::series_of(all, &debug)?,
    };
    diff::compare(&series, &policy, output)
}
