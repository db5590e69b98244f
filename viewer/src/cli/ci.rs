//! `diag ci -- COMMAND`: starts a service, loads it, takes snapshots meanwhile, judges them and ends it: one line of a workflow.
//!
//! The service is told to listen at any free port, and where it does is read from what it says. All that it says goes to
//! standard error, so that the report alone is on standard output.

mod service;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diag_diff::judge_series;
use diag_viewer::agent::Agent;

use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::{Output, note};
use super::policy::PolicyArgs;
use super::report_files::ReportFiles;
use super::shots::{From, Shots};
use super::watch::seconds;

use service::Service;

/// How often what runs is looked at.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag ci --for 60 -- target/release/orders\n  diag ci --load \"k6 run load.js\" --policy diag.toml -o snapshots/ -- target/release/orders --port 8080"
)]
pub(crate) struct Args {
    /// The service, and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// A command for the shell that loads the service; snapshots are taken until it ends
    #[arg(long, value_name = "COMMAND", conflicts_with = "for_")]
    load: Option<String>,
    /// Take snapshots for so many seconds, if there is no load to wait for
    #[arg(long = "for", id = "for_", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    for_: Duration,
    /// Wait so many seconds between snapshots
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    every: Duration,
    /// Wait so many seconds for the service's agent
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    wait: Duration,
    /// Where the agent listens, if the service does not say so; without it the service is given any free port
    #[arg(long)]
    url: Option<String>,
    /// Keep the snapshots in this folder, which is made if need be
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    files: ReportFiles,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let policy = args.policy.wanted()?;
    let debug = args.debug.files()?;
    let url = args.url.as_deref().map(Agent::parse).transpose().map_err(Failure::Usage)?;
    let mut service = Service::start(&args.command, url.is_none())?;
    let agent = service.agent(url, args.wait)?;
    note(&format!("the agent of the service listens at {}", agent.authority()));
    // The service has it from the same environment.
    let token = std::env::var("DIAG_TOKEN").ok();
    let mut shots = Shots::new(From { agent, token, within: args.wait }, debug, args.output.clone())?;
    watch_loaded(args, &mut service, &mut shots)?;
    service.end();
    let report = judge_series(&shots.series()?, &policy).map_err(Failure::NotComparable)?;
    let report = report.ok_or_else(|| Failure::Usage("two snapshots are needed".to_owned()))?;
    args.files.put(&report, output)?;
    output.report(&report)?;
    Ok(End::from(&report))
}

/// Takes snapshots from before the load to after it.
fn watch_loaded(args: &Args, service: &mut Service, shots: &mut Shots) -> Result<(), Failure> {
    shots.take()?;
    let mut load = args.load.as_deref().map(Load::start).transpose()?;
    let (began, mut taken) = (Instant::now(), Instant::now());
    loop {
        service.check_alive()?;
        let is_over = match &mut load {
            Some(load) => load.is_over()?,
            None => began.elapsed() >= args.for_,
        };
        if is_over {
            return shots.take();
        }
        if taken.elapsed() >= args.every {
            shots.take()?;
            taken = Instant::now();
        }
        sleep(PAUSE);
    }
}

/// What loads the service; it ends with this.
struct Load(Child);

impl Load {
    fn start(command: &str) -> Result<Self, Failure> {
        // What it prints is not the report.
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
        let child = shell.spawn();
        child.map(Load).map_err(|error| Failure::Usage(format!("the load cannot be started: {error}")))
    }

    /// True once it has ended well.
    fn is_over(&mut self) -> Result<bool, Failure> {
        match self.0.try_wait() {
            Ok(None) => Ok(false),
            Ok(Some(status)) if status.success() => Ok(true),
            Ok(Some(status)) => Err(Failure::Usage(format!(
                "the load failed ({status}), so that nothing is judged: run it by itself, or give a time with --for"
            ))),
            Err(error) => Err(Failure::Usage(format!("the load cannot be waited for: {error}"))),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended already as a rule, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
