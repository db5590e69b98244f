//! `diag snap URL -o FILE`: fetches a snapshot from the agent inside of a running service.
//!
//! The bytes are read back before they are written, so a file that exists is a snapshot, and one of the service that
//! was meant: a port may have gone to another process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diag_analysis::human;
use diag_snapshot::{Snapshot, file};
use diag_viewer::agent::Agent;
use diag_viewer::cpu_profile::CpuProfile;
use hyper::body::Bytes;

use super::asking::AskingArgs;
use super::exit::{End, Failure};
use super::output::{Format, Output, note, print};
use super::post_mortem;
use super::process_facts;
use super::progress::Progress;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag snap http://127.0.0.1:9797 -o before.diag\n  diag snap --pid 4711 -o before.diag\n  diag snap --core core.1 --exe target/release/orders -o dead.diag"
)]
pub(crate) struct Args {
    /// The agent's address: `http://127.0.0.1:9797` or `127.0.0.1:9797`
    #[arg(required_unless_present_any = ["pid", "core"])]
    url: Option<String>,
    /// Instead, what the system says of the process of this id, which need not link diag: no tasks, no heap
    #[arg(long, conflicts_with_all = ["url", "ask", "holders", "cpu"])]
    pid: Option<u32>,
    /// Instead, what the ELF core of a service that is gone has of diag's own tables: tasks, heap, stacks
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "pid", "ask", "holders", "cpu"])]
    core: Option<PathBuf>,
    /// The executable that the core is of, if it is not where it ran
    #[arg(long, value_name = "BIN", requires = "core")]
    exe: Option<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write nothing and exit with 4 if the process that answers is another service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Have idle tasks of the service polled to show where they are parked. That runs its code, and may wake what
    /// was lost
    #[arg(long)]
    ask: bool,
    /// Have the memory of tasks and channels swept for who waits in what and who holds it. That takes up to a second a GiB
    /// of known memory; the service goes on meanwhile
    #[arg(long, conflicts_with = "ask")]
    holders: bool,
    /// Have the service's CPU time profiled for so many seconds first, which the file then has, too
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
    cpu: Option<u64>,
    #[command(flatten)]
    asking: AskingArgs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let Some(url) = &args.url else {
        return match &args.core {
            Some(core) => of_core(core, args, output),
            None => of_process(args, output),
        };
    };
    let agent = Agent::parse(url).map_err(Failure::Usage)?;
    let within = args.asking.within();
    let (ask, holders) = (args.ask, args.holders);
    let asked = Asked { token: args.asking.token.as_deref(), within, ask, holders, cpu_seconds: args.cpu };
    let (snapshot, bytes) = take(&agent, &asked)?;
    if let Some(expected) = args.service.as_ref().filter(|name| **name != snapshot.process.service) {
        let service = expected.clone();
        return Err(Failure::OtherService { service, agent, process: Box::new(snapshot.process) });
    }
    let end = write(args, output, &bytes, &tasks_of(&snapshot, &bytes))?;
    if args.ask {
        note(&what_was_asked(&snapshot));
    }
    if args.holders {
        note(&what_was_swept(&snapshot));
    }
    Ok(end)
}

/// What the system says of a process.
fn of_process(args: &Args, output: &Output) -> Result<End, Failure> {
    let Some(pid) = args.pid else { return Err(Failure::Usage("give a URL, or --pid".to_owned())) };
    let snapshot = process_facts::snapshot(pid)
        .map_err(|error| Failure::Unreadable(format!("process {pid} cannot be read: {error}")))?;
    check_service(args, &snapshot, &format!("process {pid}"))?;
    let files = human::count(process_facts::mapped_files(&snapshot));
    let service = human::name(&snapshot.process.service);
    let told = format!("{files} mapped files of {service}, which need not link diag: no tasks, no heap");
    write(args, output, &diag_snapshot::write(&snapshot), &told)
}

/// What a core has.
fn of_core(core: &Path, args: &Args, output: &Output) -> Result<End, Failure> {
    let snapshot = post_mortem::snapshot(core, args.exe.as_deref())?;
    check_service(args, &snapshot, "the core")?;
    let bytes = diag_snapshot::write(&snapshot);
    write(args, output, &bytes, &tasks_of(&snapshot, &bytes))
}

/// Fails if it is of another service than was asked for.
fn check_service(args: &Args, snapshot: &Snapshot, whose: &str) -> Result<(), Failure> {
    let Some(expected) = args.service.as_ref().filter(|name| **name != snapshot.process.service) else {
        return Ok(());
    };
    let (is, expected) = (human::name(&snapshot.process.service), human::name(expected));
    Err(Failure::Usage(format!("{whose} is of `{is}`, not of `{expected}`; nothing was written")))
}

fn tasks_of(snapshot: &Snapshot, bytes: &[u8]) -> String {
    format!(
        "{} tasks of {}, {}",
        human::count(snapshot.live_tasks()),
        human::name(&snapshot.process.service),
        human::bytes(bytes.len() as u64),
    )
}

/// Writes a snapshot, and says what it has.
fn write(args: &Args, output: &Output, bytes: &[u8], told: &str) -> Result<End, Failure> {
    file::write(&args.output, bytes).map_err(|error| Failure::Unreadable(error.to_string()))?;
    if output.format == Format::Text {
        print(&format!("{}: {told}\n", args.output.display()))?;
    }
    Ok(End::Clean)
}

/// What came of asking.
fn what_was_asked(snapshot: &Snapshot) -> String {
    match snapshot.capture.parked.as_ref().filter(|parked| parked.asked > 0) {
        Some(parked) => format!(
            "{} of {} tasks that were asked said where they are parked",
            human::count(parked.answered),
            human::count(parked.asked),
        ),
        None => "no task was asked: none is idle, or the service's diag is older than `--ask`".to_owned(),
    }
}

/// What came of a sweep.
fn what_was_swept(snapshot: &Snapshot) -> String {
    match &snapshot.capture.sweep {
        None => "nothing was swept: the service's diag is older than `--holders`".to_owned(),
        Some(sweep) => {
            let found = format!(
                "swept {} of {} blocks in {}",
                human::bytes(sweep.looked_at_bytes),
                human::count(sweep.blocks),
                human::duration(sweep.took_us.saturating_mul(1_000)),
            );
            sweep.why.iter().fold(found, |found, why| format!("{found}; {why}"))
        }
    }
}

/// What an agent is asked for.
pub(super) struct Asked<'a> {
    pub(super) token: Option<&'a str>,
    pub(super) within: Duration,
    /// Have idle tasks polled.
    pub(super) ask: bool,
    /// Have memory swept for who holds what.
    pub(super) holders: bool,
    /// Have the CPU profiled for so long before.
    pub(super) cpu_seconds: Option<u64>,
}

/// A whole snapshot of now, and its bytes.
pub(super) fn take(agent: &Agent, asked: &Asked<'_>) -> Result<(Snapshot, Bytes), Failure> {
    let progress = Progress::of(format!("waiting for {}", agent.authority()));
    let bytes = fetch(agent, asked)?;
    drop(progress);
    let (snapshot, damages) = diag_snapshot::read(&bytes).map_err(|error| {
        Failure::Unreadable(format!("the answer of {} is no snapshot: {error}", agent.authority()))
    })?;
    match damages.first() {
        None => Ok((snapshot, bytes)),
        Some(damage) => {
            Err(Failure::Unreadable(format!("the answer of {} is damaged: {damage}", agent.authority())))
        }
    }
}

fn fetch(agent: &Agent, asked: &Asked<'_>) -> Result<Bytes, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreadable(format!("cannot start: {error}")))?;
    let snapshot = async {
        let profile = match asked.cpu_seconds {
            Some(seconds) => Some(CpuProfile::take(agent, asked.token, asked.within, seconds).await?),
            None => None,
        };
        let bytes = if asked.holders {
            agent.holders(asked.token, asked.within).await?
        } else {
            agent.snapshot(asked.token, asked.within, asked.ask).await?
        };
        profile.map_or(Ok(bytes.clone()), |profile| profile.added_to(&bytes))
    };
    runtime.block_on(snapshot).map_err(Failure::Unreadable)
}
