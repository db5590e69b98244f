//! `diag check BEFORE AFTER...`: a gate for CI, under a policy.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use diag_diff::{Confidence, Policy};

use super::diff;
use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The earliest snapshot
    before: PathBuf,
    /// Later snapshots in the order of time; the last one is compared with the earliest
    #[arg(required = true)]
    after: Vec<PathBuf>,
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
    let policy = policy(args)?;
    // A gate that was given a file must not pass without having been able to read it.
    let paths = std::iter::once(&args.before).chain(&args.after);
    diff::compare(&load::series(paths, &args.debug.files()?)?, &policy, output)
}

fn policy(args: &Args) -> Result<Policy, Failure> {
    let mut policy = args.policy.as_deref().map_or(Ok(Policy::default()), read_policy)?;
    if let Some(grade) = args.fail_on {
        policy.fail_on = grade.into();
    }
    Ok(policy)
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read policy {}: {error}", path.display())))?;
    Policy::parse(&text).map_err(|error| Failure::Usage(format!("policy {}: {error}", path.display())))
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
