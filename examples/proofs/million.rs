//! The proof in large: 1.2 million quiet devices, recorded, written, read, compared.
//!
//! Each step is timed, and the memory of a task compared with the same task under plain tokio in a process of
//! its own. The tasks wait as the hub's quiet devices do, but on one shared notice instead of a line, so that
//! the figures are the recorder's and not those of a million pipes (for these: `iothub --transport memory`).

use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use diag_analysis::Analysis;
use diag_analysis::human;
use diag_diff::{Policy, diff, judge};
use diag_snapshot::file;
use tokio::sync::Notify;

/// Records, writes, reads and compares a million parked tasks, and says what each step takes.
#[derive(Parser)]
struct Args {
    /// Tasks to park.
    #[arg(long, default_value_t = 1_200_000)]
    tasks: u64,
    /// Park them under plain tokio, and print the resident bytes that each takes: the base of comparison.
    #[arg(long)]
    plain: bool,
    /// Have everything on: heap samples, the census, labels; and say whether all resident memory of the process, snapshots and all,
    /// is at most 1.8 KB a task.
    #[arg(long)]
    everything: bool,
}

/// On for `--everything` alone.
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// All resident memory of a process with as many tasks, by task.
const MOST_BYTES_PER_TASK: f64 = 1_800.0;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    ensure!(args.tasks > 0, "--tasks 0: there is nothing to measure");
    let runtime = tokio::runtime::Runtime::new()?;
    let _inside = runtime.enter();
    if args.plain {
        let plain = park(args.tasks, |world| drop(tokio::spawn(quiet_device(world))))?;
        writeln!(io::stdout(), "{}", plain.bytes_per_task)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.everything {
        return with_everything(args.tasks);
    }
    let plain_bytes_per_task = measure_plain(args.tasks)?;
    let heap = diag::HeapMode::Off;
    let _diag = diag::Builder::new().service("million").agent(false).heap(heap).census(false).start();
    let tracked = park(args.tasks, |world| drop(diag::spawn(quiet_device(world))))?;
    let steps = Steps::take()?;
    print(args.tasks, plain_bytes_per_task, &tracked, &steps)?;
    Ok(ExitCode::SUCCESS)
}

/// One line of verdict, with all that can be on.
fn with_everything(tasks: u64) -> anyhow::Result<ExitCode> {
    let _diag = diag::Builder::new().service("million").addr((Ipv4Addr::LOCALHOST, 0)).stderr(false).start();
    let device = AtomicU64::new(0);
    let labelled = |world| {
        let device = device.fetch_add(1, Ordering::Relaxed);
        drop(diag::scope("device", device).spawn(quiet_device(world)));
    };
    let parked = park(tasks, labelled)?;
    let at_rest = rss_bytes()? as f64 / tasks as f64;
    let path = std::env::temp_dir().join(format!("diag-million-{}.diag", std::process::id()));
    diag::snapshot_to(&path)?;
    let after = rss_bytes()? as f64 / tasks as f64;
    let (snapshot, damage) = file::read(&path)?;
    fs::remove_file(&path)?;
    ensure!(damage.is_empty(), "the snapshot was damaged on the disk: {damage:?}");
    let (seen, labels) = (snapshot.tasks.len() as u64, snapshot.labels.len() as u64);
    let samples = snapshot.heap.as_ref().map_or(0, |heap| heap.samples.len());
    let most = at_rest.max(after);
    let is_good = most <= MOST_BYTES_PER_TASK && seen >= tasks && labels > 0 && samples > 0;
    writeln!(
        io::stdout(),
        "{}: {} tasks, {at_rest:.0} resident bytes a task, {after:.0} after a snapshot, of at most {MOST_BYTES_PER_TASK:.0}; {} tasks, {} \
         labels and {} heap samples in the snapshot; spawned and parked in {}",
        if is_good { "as it is to be" } else { "NOT AS IT IS TO BE" },
        human::count(tasks),
        human::count(seen),
        human::count(labels),
        human::count(samples as u64),
        duration(parked.took),
    )?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs this program again, without the recorder.
fn measure_plain(tasks: u64) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("cannot find this program to run it again")?;
    let output = Command::new(program).args(["--plain", "--tasks", &tasks.to_string()]).output()?;
    ensure!(output.status.success(), "the run under plain tokio failed: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// What it took to park all tasks.
struct Parked {
    took: Duration,
    bytes_per_task: f64,
    /// Keeps the tasks: they wait for it.
    _world: Arc<World>,
}

/// What all quiet devices share.
#[derive(Default)]
struct World {
    quiet: AtomicU64,
    wake_up: Notify,
}

async fn quiet_device(world: Arc<World>) {
    world.quiet.fetch_add(1, Ordering::Relaxed);
    world.wake_up.notified().await;
}

/// Spawns all tasks and waits until the last of them waits.
fn park(tasks: u64, spawn: impl Fn(Arc<World>)) -> anyhow::Result<Parked> {
    let world = Arc::new(World::default());
    let before = rss_bytes()?;
    let start = Instant::now();
    for _ in 0..tasks {
        spawn(world.clone());
    }
    while world.quiet.load(Ordering::Relaxed) < tasks {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = start.elapsed();
    let bytes_per_task = rss_bytes()?.saturating_sub(before) as f64 / tasks as f64;
    Ok(Parked { took, bytes_per_task, _world: world })
}

/// Resident memory of this process.
fn rss_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("resident memory is read from /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.context("no VmRSS in /proc/self/status")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// From the recorder to a verdict, step by step.
struct Steps {
    captured: u64,
    capture: Duration,
    encode: Duration,
    write: Duration,
    read: Duration,
    compare: Duration,
    file_bytes: u64,
    verdict: String,
}

impl Steps {
    fn take() -> anyhow::Result<Steps> {
        let policy = Policy::default();
        let path = std::env::temp_dir().join(format!("diag-million-{}.diag", std::process::id()));
        let (first, capture) = timed(|| diag::snapshot().into_model());
        let (bytes, encode) = timed(|| diag_snapshot::write(&first));
        let (written, write) = timed(|| file::write(&path, &bytes));
        written?;
        let (read_back, read) = timed(|| file::read(&path));
        fs::remove_file(&path)?;
        let (before, damage) = read_back?;
        ensure!(damage.is_empty() && before == first, "what was read is not what was written");
        // The policy calls anything closer together too little to judge.
        std::thread::sleep(Duration::from_secs_f64(policy.min_window_s));
        let captured = before.tasks.len() as u64;
        let (before, after) = (Analysis::new(before), Analysis::new(diag::snapshot().into_model()));
        let (report, compare) = timed(|| diff(&before, &after).map(|diff| judge(&diff, &policy)));
        Ok(Steps {
            captured,
            capture,
            encode,
            write,
            read,
            compare,
            file_bytes: bytes.len() as u64,
            verdict: report?.headline(),
        })
    }
}

fn timed<T>(step: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = step();
    (value, start.elapsed())
}

fn print(tasks: u64, plain_bytes_per_task: f64, tracked: &Parked, steps: &Steps) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut row = |what: &str, figure: String| writeln!(out, "{what:<28} {figure}");
    row(
        "tasks",
        format!("{} parked, {} in the snapshot", human::count(tasks), human::count(steps.captured)),
    )?;
    row("spawn and park", duration(tracked.took))?;
    row("capture", duration(steps.capture))?;
    row("encode", duration(steps.encode))?;
    row("write to disk", duration(steps.write))?;
    row("read and decode", duration(steps.read))?;
    row("diff and judge", duration(steps.compare))?;
    let file_bytes_per_task = steps.file_bytes as f64 / tasks as f64;
    row("file", format!("{}, {file_bytes_per_task:.2} bytes a task", human::bytes(steps.file_bytes)))?;
    let with = tracked.bytes_per_task;
    let added = with - plain_bytes_per_task;
    row(
        "RSS a task",
        format!("{with:.0} bytes, {plain_bytes_per_task:.0} under plain tokio: {added:.0} more"),
    )?;
    row("verdict", steps.verdict.clone())
}

fn duration(span: Duration) -> String {
    human::duration(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}
