//! `diag policy check FILE`: whether a policy is one that this program takes, and what it says.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use diag_analysis::human;
use diag_diff::Policy;

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

pub(super) fn read(path: &Path) -> Result<Policy, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read policy {}: {error}", path.display())))?;
    Policy::parse(&text).map_err(|error| Failure::Usage(format!("policy {}: {error}", path.display())))
}
