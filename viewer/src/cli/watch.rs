//! `diag watch URL`: snapshots of a running service, one after the other, until the answer is firm.
//!
//! Firm is a finding that fails, or "clean" of four snapshots and half a minute: before that a leak may not have shown.
//! A service that does not answer now and then is asked again; it may be what one watches it for.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use diag_analysis::Analysis;
use diag_analysis::human;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_diff::series::Member as _;
use diag_diff::{Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::{Keep, file};
use diag_viewer::agent::Agent;

use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::{Output, note};
use super::policy::PolicyArgs;
use super::snap::{Asked, take};

const LEAST_SNAPSHOTS: usize = 4;
const LEAST_NS: i64 = 30_000_000_000;
/// So many are in hand and in the folder at once, the newest in any case.
const KEPT: usize = 24;
const NEWEST: usize = 8;
/// So many questions in a row may go without a snapshot.
const MOST_MISSED: u32 = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag watch http://127.0.0.1:9797 -o snapshots/")]
pub(crate) struct Args {
    /// The agent's address: `http://127.0.0.1:9797` or `127.0.0.1:9797`
    url: String,
    /// Keep the snapshots in this folder, which is made if need be: the first, the newest, and some between
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Wait so many seconds between snapshots
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    every: Duration,
    /// Take at most so many, and answer with what they show
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..))]
    max: u32,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The service's DIAG_TOKEN, if it has one; default: the same variable here
    #[arg(long, env = "DIAG_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Give up on an answer after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let policy = args.policy.wanted()?;
    let agent = Agent::parse(&args.url).map_err(Failure::Usage)?;
    let debug = args.debug.files()?;
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let mut members: Vec<Shot> = Vec::new();
    let mut missed = 0;
    for taken in 1..=args.max {
        if taken > 1 {
            sleep(args.every);
        }
        match shot(args, &agent, &debug) {
            Ok(shot) => {
                members.push(shot);
                missed = 0;
            }
            // The first question shows whether anybody is there.
            Err(Failure::Unreadable(why)) if !members.is_empty() && missed < MOST_MISSED => {
                note(&format!("no snapshot this time: {why}"));
                missed += 1;
                // There is nothing new to judge, unless this was the last question.
                if taken < args.max {
                    continue;
                }
            }
            Err(failure) => return Err(failure),
        }
        for gone in Keep::new(NEWEST, KEPT).thin(&mut members, |shot| shot.analysis.taken_unix_us()) {
            gone.remove();
        }
        let (report, is_firm) = answer(&members, &policy)?;
        let Some(report) = report else { continue };
        if is_firm || taken == args.max {
            output.report(&report)?;
            return Ok(End::from(&report));
        }
        note(&format!("{}: {}", human::counted(taken.into(), "snapshot"), report.headline()));
    }
    Err(Failure::Usage("two snapshots are needed".to_owned()))
}

/// What the snapshots show so far, and whether more of them are needed to say so.
fn answer(members: &[Shot], policy: &Policy) -> Result<(Option<Report>, bool), Failure> {
    // They stay in the order in which they came: a clock that is set back is no matter.
    let series = Series::as_given(members.iter().map(|shot| &shot.analysis).collect::<Vec<_>>());
    let series = series.map_err(Failure::NotComparable)?;
    let report = judge_series(&series, policy).map_err(Failure::NotComparable)?;
    let of_process = series.runs().next_back().unwrap_or_default().len();
    let is_firm = report.as_ref().is_some_and(|report| {
        let is_long = of_process >= LEAST_SNAPSHOTS && report.window_ns >= LEAST_NS;
        report.fails || (report.outcome == Outcome::Clean && is_long)
    });
    Ok((report, is_firm))
}

/// A snapshot, and the file that it is kept in.
struct Shot {
    analysis: Analysis,
    path: Option<PathBuf>,
}

fn shot(args: &Args, agent: &Agent, debug: &DebugFiles) -> Result<Shot, Failure> {
    let within = Duration::from_secs(args.timeout);
    let (mut snapshot, bytes) =
        take(agent, &Asked { token: args.token.as_deref(), within, ask: false, cpu_seconds: None })?;
    let name = |folder: &PathBuf| folder.join(format!("{}.diag", snapshot.taken_unix_us()));
    let path = args.output.as_ref().map(name);
    if let Some(path) = &path {
        file::write(path, &bytes).map_err(|error| Failure::Unreadable(error.to_string()))?;
    }
    for told in fill_in(&mut snapshot, debug) {
        note(&told.to_string());
    }
    Ok(Shot { analysis: Analysis::new(snapshot), path })
}

impl Shot {
    /// Removes the file. That it cannot be removed does not change what is found.
    fn remove(self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            note(&format!("{} stays: {error}", path.display()));
        }
    }
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::Unreadable(format!("cannot make the folder {}: {error}", folder.display()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it must be a number of seconds, 0 or more".to_owned())
}
