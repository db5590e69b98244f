//! Runs a peer's program and reads its figures.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use peers_bench::figures::{self, Figures};

use crate::variant::Variant;

/// The figures that the program prints for these arguments.
pub(crate) fn figures(program: &Path, variant: &Variant, args: &[String]) -> Result<Figures> {
    let output = output(Command::new(program).args(args).envs(variant.env.iter().copied()))?;
    figures::from_text(&String::from_utf8_lossy(&output.stdout))
        .map_err(|line| anyhow!("{} printed {line:?}, which is no figure", program.display()))
}

/// Runs a command to its end; anything but success is an error with what it said.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}
