//! `diag policy check FILE`: whether a policy is one that this program takes, and what it says. And how others are told
//! of theirs.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use diag_analysis::human;
use diag_diff::{Confidence, Policy};

use super::exit::{End, Failure};
use super::output::{Format, Output, print};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag policy check diag.toml")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a policy: exit code 0 if it is one, 2 with the line and what is wrong there if not
    Check {
        /// The policy, usually `diag.toml`
        file: PathBuf,
    },
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let Command::Check { file } = &args.command;
    let policy = read(file)?;
    if output.format == Format::Text {
        print(&format!(
            "{}: fails at {}; {} and {}\n",
            file.display(),
            policy.fail_on.as_str(),
            human::counted(policy.allow.len() as u64, "allowance"),
            human::counted(policy.bounds.len() as u64, "bound"),
        ))?;
    }
    Ok(End::Clean)
}

/// The policy of a command that judges.
#[derive(Debug, clap::Args)]
pub(super) struct PolicyArgs {
    /// Thresholds and what is known, usually `diag.toml`; without it the defaults hold
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Least confidence of a finding that fails; stronger than the policy's `fail_on`
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Possible,
    Likely,
    Proven,
}

impl PolicyArgs {
    pub(super) fn wanted(&self) -> Result<Policy, Failure> {
        let mut policy = self.policy.as_deref().map_or(Ok(Policy::default()), read)?;
        if let Some(confidence) = self.fail_on {
            policy.fail_on = confidence.into();
        }
        Ok(policy)
    }
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

fn read(path: &Path) -> Result<Policy, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read policy {}: {error}", path.display())))?;
    Policy::parse(&text).map_err(|error| Failure::Usage(format!("policy {}: {error}", path.display())))
}
