//! Instructions of one operation, counted by valgrind's callgrind.
//!
//! A program is run twice with different counts; the difference over the difference is one
//! operation, and everything that happens once cancels. All threads of the process are in it.
//! Under valgrind there is no vDSO, so a clock read counts as one system call of few instructions.
//!
//! What diag may do so many times a second means nothing under valgrind, which is a hundred times slower. So
//! operations are counted without stacks of parked tasks, and those of a row of their own with stacks in each poll.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::variant::Variant;

/// Operations of the shorter run: enough to fill what a peer fills lazily.
const FEW: u64 = 2_000;
/// Operations of the longer run.
const MANY: u64 = 12_000;

const NO_STACKS: (&str, &str) = ("DIAG_PARKED", "off");

/// Instructions of one operation; `args` makes the program's arguments for a count.
pub(crate) fn per_operation(
    program: &Path,
    variant: &Variant,
    args: impl Fn(u64) -> Vec<String>,
) -> Result<f64> {
    let few = total(program, variant, &args(FEW))?;
    let many = total(program, variant, &args(MANY))?;
    Ok((many - few) / (MANY - FEW) as f64)
}

fn total(program: &Path, variant: &Variant, args: &[String]) -> Result<f64> {
    let file = std::env::temp_dir().join(format!("diag-peers-callgrind-{}", std::process::id()));
    process::output(
        Command::new("valgrind")
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(program)
            .args(args)
            .envs([NO_STACKS])
            .envs(variant.env.iter().copied()),
    )
    .context("--no-instructions leaves valgrind out")?;
    let profile =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    summary(&profile).with_context(|| format!("no instruction total in {}", file.display()))
}

fn summary(profile: &str) -> Option<f64> {
    let total =
        |line: &str| line.strip_prefix("totals: ").or(line.strip_prefix("summary: "))?.trim().parse().ok();
    profile.lines().filter_map(total).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found() {
        assert_eq!(summary("events: Ir\nsummary: 5\nfn=(1)\n0 3\ntotals: 1234\n"), Some(1234.0));
        assert_eq!(summary("events: Ir\n"), None);
    }
}
