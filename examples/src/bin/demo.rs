//! The shortest way to see what this is about: a hub with two faults, four snapshots, and what they say.
//!
//! The hub runs in this process, on loopback, with devices that drive it. Nothing is prepared: the report comes
//! from snapshot files that stay in a folder, the truth beside it from the hub's own bookkeeping. The exit
//! code is 0 whenever the demo ran, whatever was found; `diag check` is the command that fails on findings.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use diag_analysis::Analysis;
use diag_diff::report::{Report, text};
use diag_diff::{Policy, Series, judge_series};
use diag_examples::iothub::driver::{Driver, Script};
use diag_examples::iothub::transport::{self, Transport};
use diag_examples::iothub::{Config, Fault, Hub, Truth};
use diag_examples::{args, progress};
use diag_snapshot::{Snapshot, file};
use diag_viewer::{Access, Source};
use serde::Serialize;

/// With it the report names the code and the tasks that allocated what grows.
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Where the findings are served; another port if this one is taken.
const VIEWER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9898);

/// Bytes between two samples of the heap: a quarter of the default, as half a minute leaves few samples otherwise, and growth whose
/// windows come down by a quarter by chance would have to be watched for longer.
const HEAP_RATE: u64 = 128 << 10;

/// So many snapshots show in three windows whether growth goes on.
const SNAPSHOTS: u32 = 4;

/// Starts an IoT hub with two faults in this process, takes four snapshots, and says what leaks.
#[derive(Parser)]
#[command(after_help = "Exit code 0: the demo ran, whatever it found. `diag check` fails on findings.")]
struct Args {
    /// End after the findings.
    #[arg(long)]
    once: bool,
    /// How to print the findings; json is one document with the report and the hub's own truth.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same hub and the same devices without the faults.
    #[arg(long)]
    healthy: bool,
    /// Seconds to the last snapshot. Below thirty-two it is too early to tell a leak from a cache that fills.
    #[arg(long, default_value = "34", value_parser = args::seconds)]
    seconds: Duration,
    /// Folder for the snapshots; by default a fresh one among the temporary files.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let files = Files::new(&args)?;
    let diag = diag::Builder::new()
        .service("iothub")
        .allocator_stats(diag::glibc_stats)
        .heap_rate(HEAP_RATE)
        .agent(!args.once)
        .start();
    let runtime = tokio::runtime::Runtime::new()?;
    let run = runtime.block_on(Run::start(&args))?;
    let truth = runtime.block_on(run.take_snapshots(&files))?;
    let outcome = Outcome::new(files, truth)?;
    outcome.print(&args)?;
    if !args.once {
        runtime.block_on(stay(&diag, outcome.source()))?;
    }
    run.driver.stop()?;
    Ok(())
}

/// Where the snapshots go.
struct Files {
    dir: PathBuf,
    paths: Vec<PathBuf>,
}

impl Files {
    fn new(args: &Args) -> anyhow::Result<Files> {
        let dir = match &args.dir {
            Some(dir) => dir.clone(),
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                std::env::temp_dir().join(format!("diag-demo-{now}-{}", std::process::id()))
            }
        };
        fs::create_dir_all(&dir).with_context(|| {
            format!("cannot make the folder {}: choose another with --dir", dir.display())
        })?;
        let paths = (1..=SNAPSHOTS).map(|number| dir.join(format!("{number}.diag"))).collect();
        Ok(Files { dir, paths })
    }
}

/// The hub and its devices at work, and the moments of the story.
struct Run {
    hub: Hub,
    driver: Driver,
    started: Instant,
    seconds: Duration,
}

impl Run {
    async fn start(args: &Args) -> anyhow::Result<Run> {
        let seconds = args.seconds;
        // Devices stop getting lost some seconds before the last snapshot: by then every ghost has rested for long
        // enough to be told from a slow device, and is counted.
        let flaky_for = seconds * 7 / 8;
        let both = if args.healthy { &[][..] } else { &[Fault::GhostDevices, Fault::MapNoTtl] };
        let faults = both.iter().copied().collect();
        let (listener, connector) = transport::open(Transport::Tcp).await?;
        let hub = Hub::start(listener, Config { faults, ..Config::default() });
        let driver =
            Driver::start(connector, Script { polite_for: seconds, flaky_for, ..Script::default() })?;
        Ok(Run { hub, driver, started: Instant::now(), seconds })
    }

    /// The hub's truth is asked for right after each snapshot.
    async fn take_snapshots(&self, files: &Files) -> anyhow::Result<Truths> {
        let mut truths = Vec::new();
        for (number, path) in (1..).zip(&files.paths) {
            // The first one soon, the others with three tenths of the time in between.
            self.wait_until(self.seconds * (3 * number - 2) / 10, number).await;
            let begun = self.hub.truth();
            diag::snapshot_to(path)?;
            truths.push(Known { begun, done: self.hub.truth() });
        }
        let after = truths.pop().context("there are several snapshots")?;
        Ok(Truths { before: truths.into_iter().next().context("there are several snapshots")?, after })
    }

    async fn wait_until(&self, moment: Duration, number: u32) {
        let online = diag::gauge("devices_online");
        let line = || {
            let (now, then) = (self.started.elapsed().as_secs_f64(), moment.as_secs_f64());
            format!(
                "iothub runs: {now:4.1} s, {} devices online; snapshot {number} of {SNAPSHOTS} at {then:.1} s",
                online.get()
            )
        };
        progress::wait_until(self.started + moment, line).await;
    }
}

/// What the hub knew when the first and the last snapshot were taken.
struct Truths {
    before: Known,
    after: Known,
}

/// What the hub knew before a snapshot was taken, and after: it goes on meanwhile.
struct Known {
    begun: Truth,
    done: Truth,
}

/// What the snapshots say, and what is true.
#[derive(Serialize)]
struct Outcome {
    schema: &'static str,
    folder: PathBuf,
    snapshots: Vec<PathBuf>,
    report: Report,
    truth: Truth,
    truth_before: Truth,
    /// Of the last and the first snapshot, when it began.
    truth_begun: [Truth; 2],
}

impl Outcome {
    fn new(files: Files, truth: Truths) -> anyhow::Result<Outcome> {
        let policy = Policy::default();
        let snapshots =
            files.paths.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<Snapshot>>>()?;
        ensure!(
            snapshots.iter().all(|snapshot| !snapshot.tasks.is_empty()),
            "no task was recorded: is DIAG=off set? unset it and run the demo again"
        );
        let series = Series::new(snapshots.into_iter().map(Analysis::new).collect())?;
        Ok(Outcome {
            schema: "diag.demo/2",
            folder: files.dir,
            snapshots: files.paths,
            report: judge_series(&series, &policy)?.context("there are several snapshots")?,
            truth: truth.after.done,
            truth_before: truth.before.done,
            truth_begun: [truth.after.begun, truth.before.begun],
        })
    }

    /// The files, for the viewer.
    fn source(&self) -> Source {
        self.snapshots.iter().fold(Source::default(), |all, path| all.and(Source::file(path)))
    }

    fn print(&self, args: &Args) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match args.format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, self)?;
                writeln!(out)
            }
            Format::Text => self.print_text(&mut out),
        }
    }

    fn print_text(&self, out: &mut impl Write) -> io::Result<()> {
        let report = if io::stdout().is_terminal() { text::render_coloured } else { text::render };
        writeln!(out, "iothub ran {}. Four snapshots of it say:\n", self.faults())?;
        writeln!(out, "{}", report(&self.report).trim_end())?;
        if !self.truth.faults.is_empty() {
            writeln!(out, "\nWhat the hub itself knows, from its own bookkeeping:")?;
        }
        for fault in &self.truth.faults {
            writeln!(out, "  {fault}")?;
        }
        self.print_next(out)
    }

    fn faults(&self) -> String {
        let names: Vec<&str> = self.truth.faults.iter().map(|fault| fault.fault.as_str()).collect();
        match names.as_slice() {
            [] => "without a fault".to_owned(),
            names => format!("with {} faults switched on ({})", names.len(), names.join(", ")),
        }
    }

    fn print_next(&self, out: &mut impl Write) -> io::Result<()> {
        let last = self.snapshots.last().unwrap_or(&self.folder).display();
        let diag = "cargo run --release --bin diag --";
        writeln!(out, "\nWhat to do next:")?;
        writeln!(out, "  the same report again, from the files alone")?;
        writeln!(out, "    {diag} check {}", self.folder.display())?;
        writeln!(out, "  one snapshot, task by task")?;
        writeln!(out, "    {diag} show {last} --tasks")?;
        if !self.truth.faults.is_empty() {
            writeln!(out, "  the same hub without the faults")?;
            writeln!(out, "    cargo run --release --bin demo -- --once --healthy")?;
        }
        Ok(())
    }
}

/// A snapshot that we just wrote: damage in it is an error here, not a note.
fn read(path: &Path) -> anyhow::Result<Snapshot> {
    let (snapshot, damage) = file::read(path)?;
    ensure!(damage.is_empty(), "{} was damaged on the disk: {damage:?}", path.display());
    Ok(snapshot)
}

/// Leaves the hub and its agent running, and serves what was found until Ctrl-C.
async fn stay(diag: &diag::Guard, source: Source) -> anyhow::Result<()> {
    // What is said here is for the person at the terminal: standard output has the findings and nothing else.
    let mut terminal = io::stderr();
    let (access, any_port) = (Access::default(), SocketAddr::new(VIEWER.ip(), 0));
    let listener = match diag_viewer::bind(VIEWER, &access).await {
        Ok(listener) => listener,
        Err(_) => diag_viewer::bind(any_port, &access).await?,
    };
    writeln!(terminal, "\nThe same in a browser, until Ctrl-C: http://{}", listener.local_addr()?)?;
    if let Some(addr) = diag.agent_addr() {
        writeln!(terminal, "  the hub goes on; its tasks at this moment: curl http://{addr}/dump")?;
    }
    tokio::select! {
        served = diag_viewer::serve_on(listener, diag_viewer::router(source, access)) => Ok(served?),
        pressed = tokio::signal::ctrl_c() => Ok(pressed?),
    }
}
