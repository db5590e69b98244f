//! Runs a peer's program and reads its figures.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

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

/// A service's process that runs a batch when it is asked to, and rests otherwise.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Service {
    pub(crate) fn start(program: &Path, variant: &Variant, args: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).envs(variant.env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let (asks, answers) = child.stdin.take().zip(child.stdout.take()).context("no pipes to a process")?;
        Ok(Service { name: variant.name, child, asks, answers: BufReader::new(answers) })
    }

    /// CPU time of one operation in nanoseconds, from a batch that it runs now.
    pub(crate) fn batch(&mut self) -> Result<f64> {
        let mut line = String::new();
        self.asks.write_all(b"\n").and_then(|()| self.answers.read_line(&mut line)).context(self.name)?;
        line.trim_end().parse().with_context(|| format!("{} printed {line:?}", self.name))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
