//! Runs all cases of a service, some beside each other, and prints what `diag check` says of each and one line of verdict.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, ensure};
use clap::Parser;
use diag_diff::Policy;

use crate::case::{Answer, Case};

/// Runs all faults and healthy loads, and says how right `diag check` is about them.
#[derive(Parser)]
struct Args {
    /// So often each.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// So many at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Seconds of each.
    #[arg(long, default_value_t = 18)]
    seconds: u64,
    /// Judge by the default policy, which wants runs of 34 s and more.
    #[arg(long)]
    default_policy: bool,
    /// The program to run, if it does not lie beside this one.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Only cases whose name begins so.
    #[arg(long)]
    only: Option<String>,
    /// Keep the snapshots here.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Runs the cases of a program that lies beside this one, as the command line asks; the exit code is 1 if any is not as it is to be.
///
/// # Errors
/// If the policy is none.
pub fn main(program: &str, mut cases: Vec<Case>, policy: &str) -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let policy = if args.default_policy { Policy::default() } else { Policy::parse(policy)? };
    cases.retain(|case| args.only.as_ref().is_none_or(|only| case.name.starts_with(only.as_str())));
    let runs: Vec<(usize, &Case)> =
        (1..=args.rounds).flat_map(|round| cases.iter().map(move |case| (round, case))).collect();
    println!("round  snapshots  case                what is said, and what is true");
    let (next, right) = (AtomicUsize::new(0), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while let Some(&(round, case)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = one(&args, program, round, case, &policy);
                    let is_right = answer.as_ref().is_ok_and(|answer| answer.is_right);
                    // One line at a time.
                    let mut right = right.lock().unwrap_or_else(PoisonError::into_inner);
                    *right += usize::from(is_right);
                    say(round, case, answer);
                }
            });
        }
    });
    let right = right.into_inner().unwrap_or_default();
    println!("\nverdict: {right} of {} runs as they are to be", runs.len());
    Ok(ExitCode::from(u8::from(right != runs.len())))
}

fn one(args: &Args, program: &str, round: usize, case: &Case, policy: &Policy) -> anyhow::Result<Answer> {
    let folder = tempfile::tempdir()?;
    let dir = match &args.keep {
        Some(keep) => keep.join(format!("{}-{round}", case.name.replace(", ", "-"))),
        None => folder.path().join("run"),
    };
    let beside = std::env::current_exe()?.with_file_name(program);
    let program = args.program.as_ref().unwrap_or(&beside);
    if let Some(guarded) = &case.guarded {
        guarded.check(program, &folder.path().join("guarded"), &case.arguments)?;
    }
    run(args, program, case, &dir)?;
    case.judge(&dir, policy)
}

fn run(args: &Args, program: &Path, case: &Case, dir: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.arg("run").arg(dir).args(&case.arguments).args(["--seconds", &args.seconds.to_string()]);
    // Names of a panic's frames are megabytes of the heap that is judged.
    command.env("RUST_BACKTRACE", "0");
    let ended = command.output().with_context(|| format!("starting {}", program.display()))?;
    let is_right = ended.status.code().is_some_and(|code| case.exits.contains(&code));
    ensure!(is_right, "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    Ok(())
}

fn say(round: usize, case: &Case, answer: anyhow::Result<Answer>) {
    let name = &case.name;
    match answer {
        Err(error) => println!("{round:5}          -  {name:18}  FAILED: {error:#}"),
        Ok(answer) => {
            let verdict = if answer.is_right { "" } else { "NOT AS IT IS TO BE: " };
            let guard = if case.guarded.is_some() { "; its guard is right" } else { "" };
            println!("{round:5}  {:9}  {name:18}  {verdict}{}{guard}", answer.snapshots, said(case, &answer));
        }
    }
}

fn said(case: &Case, answer: &Answer) -> String {
    let right = case.wanted.and_then(|wanted| wanted.found(&answer.report, &answer.truth.lines));
    let all = || {
        let findings = answer.report.findings.iter();
        findings.map(|finding| format!("{} {}", finding.rule, finding.subject.location())).collect::<Vec<_>>()
    };
    match right {
        Some(found) => {
            let (sure, place) = (found.confidence.as_str(), found.subject.location());
            let count = found.count.map_or_else(String::new, |count| format!(", {count}"));
            format!("{} ({sure}) at {place}{count}; true: {}", found.rule, answer.truth.count)
        }
        None if answer.report.findings.is_empty() => answer.report.headline(),
        None => all().join(", "),
    }
}
