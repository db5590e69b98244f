//! Instructions of one operation, counted by valgrind's callgrind in a second process of the same program.
//!
//! The program runs twice with different counts; the difference over the difference is one operation, and everything that
//! happens once cancels. All threads are in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What is switched on while operations are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Nothing: the allocator alone is linked.
    Nothing,
    /// All but the census.
    WithoutCensus,
    /// All.
    All,
}

impl Switch {
    pub(crate) fn env(self) -> &'static [(&'static str, &'static str)] {
        // Stacks of parked tasks are taken so many times a second, which means nothing under valgrind.
        match self {
            Switch::Nothing => &[("DIAG", "off")],
            Switch::WithoutCensus => &[("DIAG_PARKED", "off"), ("DIAG_CENSUS", "off")],
            Switch::All => &[("DIAG_PARKED", "off")],
        }
    }
}

/// Instructions of one operation of this program, which does so many of what is named by its arguments: `work` and a count.
///
/// # Errors
/// If valgrind is not there, or the program fails.
pub fn per_operation(work: &str, [few, many]: [u64; 2], switch: Switch) -> Result<f64> {
    let (least, most) = (total(work, few, switch)?, total(work, many, switch)?);
    Ok((most - least) / (many - few) as f64)
}

fn total(work: &str, count: u64, switch: Switch) -> Result<f64> {
    let file = std::env::temp_dir().join(format!("diag-census-callgrind-{}", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")))
        .args([work, &count.to_string()])
        .envs(switch.env().iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("valgrind counts the instructions: install it")?;
    ensure!(status.success(), "{work} {count} failed under valgrind");
    let profile =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    let number =
        |line: &str| line.strip_prefix("totals: ").or(line.strip_prefix("summary: "))?.trim().parse().ok();
    profile.lines().filter_map(number).next_back().with_context(|| format!("no total in {}", file.display()))
}
