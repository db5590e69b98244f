//! Holds instruction counts against a committed file.
//!
//! Nanoseconds are left alone: they tell two machines apart, and two minutes of one machine.
//! Instructions of the same build are the same everywhere, so a rise of 5 % is a change of code: of
//! ours, or of the compiler or the C library, after whose update the file is written anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::{Cli, What};
use crate::report::Report;

/// What a count may be of the committed one.
const LIMIT: f64 = 1.05;

/// Reads a file that `--json` wrote.
pub(crate) fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what --json writes; make it anew", path.display()))
}

/// Compares what was measured with the file, says what is over, and gives the exit code.
pub(crate) fn judge(baseline: &Report, report: &Report, cli: &Cli) -> ExitCode {
    let complaints = complaints(&counts(baseline, cli), &counts(report, cli));
    complaints.iter().for_each(|complaint| eprintln!("gate: {complaint}"));
    ExitCode::from(u8::from(!complaints.is_empty()))
}

/// Every count under a name, of the rows that the command line asks for.
fn counts(report: &Report, cli: &Cli) -> BTreeMap<String, f64> {
    let tasks = report.tasks.iter().filter(|row| cli.what == What::Tasks && cli.wants(&row.name));
    let heap = report.heap.iter().filter(|row| cli.what == What::Heap && cli.wants(&row.name));
    let tasks = tasks.map(|row| (format!("{} {}", row.name, row.flags), &row.instructions_of));
    let heap = heap.map(|row| (format!("{} over {}", row.name, row.inner), &row.instructions_of));
    let named = |(row, of): (String, &BTreeMap<String, f64>)| {
        of.iter().map(|(op, &count)| (format!("{}, {op}", row.trim()), count)).collect::<Vec<_>>()
    };
    tasks.chain(heap).flat_map(named).collect()
}

fn complaints(committed: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Vec<String> {
    if committed.is_empty() {
        return vec![
            "the file has no count of these rows; write it with --instructions-only --json".to_owned(),
        ];
    }
    let complaint = |(name, &before): (&String, &f64)| match now.get(name) {
        None => Some(format!("{name}: in the file, but not measured")),
        Some(&after) if after > before * LIMIT => {
            let percent = (after / before - 1.0) * 100.0;
            Some(format!("{name}: {after:.1} instructions, {before:.1} in the file ({percent:+.1} %)"))
        }
        Some(_) => None,
    };
    committed.iter().filter_map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(committed: &[(&str, f64)], now: &[(&str, f64)], expected: &[&str]) {
        let map =
            |counts: &[(&str, f64)]| counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(complaints(&map(committed), &map(now)), expected);
    }

    #[test]
    fn five_percent_pass_and_more_does_not() {
        check(&[("diag, poll", 100.0)], &[("diag, poll", 105.0)], &[]);
        check(&[("diag, poll", 100.0)], &[("diag, poll", 40.0), ("dial9, poll", 9.0)], &[]);
        let over = "diag, poll: 106.0 instructions, 100.0 in the file (+6.0 %)";
        check(&[("diag, poll", 100.0)], &[("diag, poll", 106.0)], &[over]);
    }

    #[test]
    fn what_is_not_measured_does_not_pass() {
        check(&[("diag, poll", 100.0)], &[], &["diag, poll: in the file, but not measured"]);
        let empty = "the file has no count of these rows; write it with --instructions-only --json";
        check(&[], &[("diag, poll", 1.0)], &[empty]);
    }
}
