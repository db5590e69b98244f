//! `diag check A B C...` or `diag check DIR`: a gate for CI, under a policy.

use std::path::PathBuf;

use clap::ValueEnum;
use diag_diff::{Confidence, Policy};

use super::diff;
use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::Output;
use super::policy;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag check snapshots/ --policy diag.toml")]
pub(crate) struct Args {
    /// Two or more snapshots of one service, or a folder of them; all are judged together
    #[arg(required = true)]
    snapshots: Vec<PathBuf>,
    /// Thresholds, usually `diag.toml`; without it the defaults hold
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Least confidence of a finding that fails; stronger than the policy's `fail_on`
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
    #[command(flatten)]
    debug: DebugDirs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Possible,
    Likely,
    Proven,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let policy = wanted(args)?;
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

fn wanted(args: &Args) -> Result<Policy, Failure> {
    let mut policy = args.policy.as_deref().map_or(Ok(Policy::default()), policy::read)?;
    if let Some(grade) = args.fail_on {
        policy.fail_on = grade.into();
    }
    Ok(policy)
}

impl From<FailOn> for Confidence {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Possible => Confidence::Possible,
            FailOn::Likely => Confidence::Likely,
            FailOn::Proven => Confidence::Proven,
        }
    }
}
