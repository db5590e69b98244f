//! `diag watch URL`: snapshots of a running service, one after the other, until the answer is firm.
//!
//! Firm is a finding that fails, or "clean" of four snapshots and half a minute: before that a leak may not have shown.
//! A service that does not answer now and then is asked again; it may be what one watches it for.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use diag_analysis::human;
use diag_diff::{Outcome, Policy, Report, judge_series};
use diag_viewer::agent::Agent;

use super::asking::AskingArgs;
use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::{Output, note};
use super::policy::PolicyArgs;
use super::shots::{From, Shots};

const LEAST_SNAPSHOTS: usize = 4;
const LEAST_NS: i64 = 30_000_000_000;
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
    #[command(flatten)]
    asking: AskingArgs,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let policy = args.policy.wanted()?;
    let agent = Agent::parse(&args.url).map_err(Failure::Usage)?;
    let debug = args.debug.files()?;
    let token = args.asking.token.clone();
    let within = args.asking.within();
    let mut shots = Shots::new(From { agent, token, within }, debug, args.output.clone())?;
    let mut missed = 0;
    for taken in 1..=args.max {
        if taken > 1 {
            sleep(args.every);
        }
        match shots.take() {
            Ok(()) => missed = 0,
            // The first question shows whether anybody is there.
            Err(Failure::Unreadable(why)) if !shots.is_empty() && missed < MOST_MISSED => {
                note(&format!("no snapshot this time: {why}"));
                missed += 1;
                // There is nothing new to judge, unless this was the last question.
                if taken < args.max {
                    continue;
                }
            }
            Err(failure) => return Err(failure),
        }
        let (report, is_firm) = answer(&shots, &policy)?;
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
fn answer(shots: &Shots, policy: &Policy) -> Result<(Option<Report>, bool), Failure> {
    let series = shots.series()?;
    let report = judge_series(&series, policy).map_err(Failure::NotComparable)?;
    let of_process = series.runs().next_back().unwrap_or_default().len();
    let is_firm = report.as_ref().is_some_and(|report| {
        let is_long = of_process >= LEAST_SNAPSHOTS && report.window_ns >= LEAST_NS;
        report.fails || (report.outcome == Outcome::Clean && is_long)
    });
    Ok((report, is_firm))
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it must be a number of seconds, 0 or more".to_owned())
}
