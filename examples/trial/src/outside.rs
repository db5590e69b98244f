//! What is outside of a service: processes of its program that end with it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// A process outside; it ends when this is dropped.
pub struct Process {
    child: Child,
    input: ChildStdin,
}

impl Process {
    /// Starts this program with these arguments, and waits for the first line that it says.
    pub async fn start(args: &[PathBuf]) -> anyhow::Result<(Self, String)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .env("DIAG", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting what is outside")?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).context("it has pipes")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        ensure!(line.ends_with('\n'), "{args:?} ended before it began");
        Ok((Process { child, input }, line.trim_end().to_owned()))
    }

    /// Tells it to go on with what it waits for.
    pub async fn go_on(&mut self) -> anyhow::Result<()> {
        Ok(self.input.write_all(b"\n").await?)
    }

    /// Ends it.
    pub async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Of the process: says its first line.
pub fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Of the process: waits until it is told to go on.
pub async fn told_to_go_on() -> bool {
    tokio::io::stdin().read_u8().await.is_ok()
}

/// Of the process: ready once nobody holds its other end.
pub async fn left_alone() {
    while told_to_go_on().await {}
}
