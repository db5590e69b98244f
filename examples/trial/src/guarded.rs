//! What a leak guard is to say of a service: the program does its work once, as a test would that has one, when it is told `guarded DIR`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// What a harness gives of a test that fails.
const FAILED: i32 = 101;

/// What is right to say; nothing of a healthy one.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Words, of which all are said.
    pub words: &'static [&'static str],
    /// Lines, of which one is said.
    pub lines: Vec<String>,
}

impl Guarded {
    /// Runs the program with the arguments of its case, and looks at what its guard says.
    ///
    /// # Errors
    /// If that is not right.
    pub fn check(&self, program: &Path, dir: &Path, arguments: &[String]) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command.arg("guarded").arg(dir).args(arguments).env("RUST_BACKTRACE", "0");
        let is_healthy = self.words.is_empty();
        if is_healthy {
            // It waits for none of it, unless the machine is busy.
            command.args(["--settle", "60"]);
        }
        let ended = command.output().with_context(|| format!("starting {}", program.display()))?;
        let (code, said) = (ended.status.code(), String::from_utf8_lossy(&ended.stderr));
        let names_line = self.lines.iter().any(|line| said.contains(line));
        let is_right = match is_healthy {
            true => code == Some(0),
            false => code == Some(FAILED) && names_line && self.words.iter().all(|word| said.contains(word)),
        };
        ensure!(is_right, "its guard ends with {}: {said}", ended.status);
        Ok(())
    }
}
