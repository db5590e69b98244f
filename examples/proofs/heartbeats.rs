//! The proof that heartbeats are not late because of diag: p99 lateness at many devices with recording, while snapshots are written,
//! and without, side by side in one run.
//!
//! Two processes of this program hold a hub and its devices, in memory, one with diag off. They take turns, so that each has the
//! machine to itself as often, early and late. A heartbeat is late by what has passed between its moment of the period and the hub
//! that hears it: a hub, a driver and a runtime are in it, and the ratio is diag's. Of turns with snapshots only heartbeats that were
//! due before the end of one, and heard after its begin, count.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use diag_examples::iothub::beats::{Lines, Schedule};
use diag_examples::iothub::protocol::DeviceId;
use diag_examples::iothub::transport::{self, Transport};
use diag_examples::iothub::{Config, Hub};
use diag_examples::{args, progress};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Measures how late heartbeats are with diag on, off, and while snapshots are written.
#[derive(Parser)]
#[command(
    after_help = "Exit code 0: no mode is later by more than a tenth, nor takes more CPU than allowed. 1: otherwise."
)]
struct Args {
    /// Devices that send heartbeats.
    #[arg(long, default_value_t = 100_000)]
    devices: u64,
    /// Measure each mode for so long.
    #[arg(long, default_value = "30", value_parser = args::seconds)]
    seconds: Duration,
    /// Be one of the two processes.
    #[arg(long, hide = true)]
    side: bool,
}

/// Between two heartbeats of a device.
const PERIOD: Duration = Duration::from_secs(30);
/// A mode has its turn for so long.
const TURN: Duration = Duration::from_secs(5);
/// Between two snapshots.
const REST: Duration = Duration::from_millis(500);
/// Departed sessions are not what is measured: the sweeper has nothing to do.
const TTL: Duration = Duration::from_secs(600);
const MOST_LATER: f64 = 1.10;
/// Percent of the node.
const MOST_CPU: f64 = 2.3;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Mode {
    Off,
    On,
    Snapshots,
}

/// Early and late alike.
const ORDER: [Mode; 6] = [Mode::Off, Mode::On, Mode::Snapshots, Mode::Snapshots, Mode::On, Mode::Off];

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    ensure!((1..=1_000_000).contains(&args.devices), "--devices: from 1 to 1,000,000");
    if args.side {
        return side(args.devices);
    }
    let (mut off, mut on) = (Side::start(args.devices, false)?, Side::start(args.devices, true)?);
    let mut measured: [Turn; 3] = Default::default();
    let rounds = (args.seconds.as_secs_f64() / TURN.as_secs_f64() / 2.0).ceil() as u32;
    for round in 1..=rounds {
        for mode in ORDER {
            progress::show(&format!("round {round} of {rounds}"));
            let side = if mode == Mode::Off { &mut off } else { &mut on };
            measured[mode as usize].add(&side.turn(mode)?);
        }
    }
    progress::show("");
    print(args.devices, &measured)
}

/// One line of verdict.
fn print(devices: u64, measured: &[Turn; 3]) -> anyhow::Result<ExitCode> {
    let [off, on, snapshots] = measured;
    let p99 = |turn: &Turn| turn.late.at(0.99).context("nothing was heard");
    let [plain, recorded, written] = [p99(off)?, p99(on)?, p99(snapshots)?];
    let ratio = |us: u64| us as f64 / plain.max(1) as f64;
    let cpus = thread::available_parallelism()?.get() as f64;
    let cpu = |turn: &Turn| turn.cpu.as_secs_f64() / turn.took.as_secs_f64() / cpus * 100.0;
    let added = cpu(on) - cpu(off);
    let all_heard = measured.iter().all(|turn| turn.heard > 0 && turn.lost == 0);
    let is_good = all_heard
        && ratio(recorded) <= MOST_LATER
        && ratio(written) <= MOST_LATER
        && added <= MOST_CPU
        && snapshots.snapshots > 0;
    writeln!(
        io::stdout(),
        "{}: {devices} devices, p99 lateness {:.2} ms off; on {:.2} ms, {:.3} times; while a snapshot is written {:.2} ms, {:.3} \
         times ({} snapshots); {added:.2} % of the node's CPU more ({:.2} % off, {:.2} % on, {:.2} % with snapshots); {} heard, {} lost",
        if is_good { "as it is to be" } else { "NOT AS IT IS TO BE" },
        ms(plain),
        ms(recorded),
        ratio(recorded),
        ms(written),
        ratio(written),
        snapshots.snapshots,
        cpu(off),
        cpu(on),
        cpu(snapshots),
        measured.iter().map(|turn| turn.heard).sum::<u64>(),
        measured.iter().map(|turn| turn.lost).sum::<u64>(),
    )?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

/// What was measured of one mode.
#[derive(Default, Serialize, Deserialize)]
struct Turn {
    late: Late,
    cpu: Duration,
    took: Duration,
    heard: u64,
    /// Heartbeats that were due and not heard.
    lost: u64,
    snapshots: u64,
}

impl Turn {
    fn add(&mut self, other: &Turn) {
        self.late.0.extend(&other.late.0);
        self.cpu += other.cpu;
        self.took += other.took;
        self.heard += other.heard;
        self.lost += other.lost;
        self.snapshots += other.snapshots;
    }
}

/// How many heartbeats were late by so many steps.
#[derive(Default, Serialize, Deserialize)]
struct Late(Vec<(u64, u32)>);

impl Late {
    /// The lateness that a part of them does not exceed, microseconds; none of no heartbeat.
    fn at(&self, part: f64) -> Option<u64> {
        let mut steps = self.0.clone();
        steps.sort_unstable();
        let all: u64 = steps.iter().map(|(_, count)| u64::from(*count)).sum();
        let mut left = (all as f64 * part).ceil() as u64;
        steps.into_iter().find_map(|(step, count)| {
            let is_there = left <= u64::from(count);
            left = left.saturating_sub(u64::from(count));
            is_there.then_some((step + 1) * STEP_US)
        })
    }
}

/// One of the two processes, as the first one sees it.
struct Side {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Side {
    fn start(devices: u64, is_on: bool) -> anyhow::Result<Side> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--side", "--devices", &devices.to_string()]);
        command.env("DIAG", if is_on { "on" } else { "off" });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).context("it has pipes")?;
        let mut side = Side { child, input, output: BufReader::new(output) };
        let ready = side.line()?;
        ensure!(ready == "ready", "{ready}");
        Ok(side)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "one of the two processes ended early");
        Ok(line.trim_end().to_owned())
    }

    fn turn(&mut self, mode: Mode) -> anyhow::Result<Turn> {
        serde_json::to_writer(&mut self.input, &mode)?;
        self.input.write_all(b"\n")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of one of the two processes: holds the hub, and measures when it is told to.
fn side(devices: u64) -> anyhow::Result<ExitCode> {
    let _diag = diag::Builder::new().service("heartbeats").agent(false).start();
    let runtime = Runtime::new()?;
    let world = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (listener, connector) = runtime.block_on(transport::open(Transport::Memory))?;
    let _hub = {
        let _inside = runtime.enter();
        Hub::start(listener, Config { ttl: TTL, heard, ..Config::default() })
    };
    let lines = world.block_on(Lines::call(&connector, devices as usize));
    let mut lines = lines.context("the hub did not welcome all devices")?;
    let schedule = SCHEDULE.get_or_init(|| Schedule { start: Instant::now(), period: PERIOD, devices });
    say("ready")?;
    for line in io::stdin().lines() {
        let mode: Mode = serde_json::from_str(&line?)?;
        let turn = measure(mode, &world, &mut lines, schedule)?;
        say(&serde_json::to_string(&turn)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn measure(mode: Mode, world: &Runtime, lines: &mut Lines, schedule: &Schedule) -> anyhow::Result<Turn> {
    let (begun, cpu) = (Instant::now(), cpu_time()?);
    let before = HEARD.load(Ordering::Relaxed);
    let is_over = AtomicBool::new(false);
    ONLY_SNAPSHOTS.store(mode == Mode::Snapshots, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
    let (sent, snapshots) = thread::scope(|scope| {
        let writer = (mode == Mode::Snapshots).then(|| scope.spawn(|| write_snapshots(schedule, &is_over)));
        let sent = world.block_on(lines.beat(schedule, TURN));
        is_over.store(true, Ordering::Relaxed);
        (sent, writer.map(|writer| writer.join()))
    });
    let snapshots = match snapshots {
        None => 0,
        Some(written) => written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))?,
    };
    let (took, cpu) = (begun.elapsed(), cpu_time()?.saturating_sub(cpu));
    // What was sent last is heard soon, unless it is lost.
    let patience = Instant::now() + Duration::from_secs(60);
    let heard = || HEARD.load(Ordering::Relaxed) - before;
    while heard() < sent && Instant::now() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    COUNTS.store(false, Ordering::Relaxed);
    let late = LATE.iter().zip(0..).filter_map(|(count, step)| match count.swap(0, Ordering::Relaxed) {
        0 => None,
        count => Some((step, count)),
    });
    let (late, heard) = (Late(late.collect()), heard());
    Ok(Turn { late, cpu, took, heard, lost: sent.saturating_sub(heard), snapshots })
}

fn write_snapshots(schedule: &Schedule, is_over: &AtomicBool) -> io::Result<u64> {
    let path = std::env::temp_dir().join(format!("diag-heartbeats-{}.diag", std::process::id()));
    let mut written = 0;
    while !is_over.load(Ordering::Relaxed) {
        SNAPSHOT_IS_ON.store(true, Ordering::Relaxed);
        let done = diag::snapshot_to(&path);
        SNAPSHOT_ENDED_US.store(schedule.start.elapsed().as_micros() as u64, Ordering::Relaxed);
        SNAPSHOT_IS_ON.store(false, Ordering::Relaxed);
        done.map_err(io::Error::other)?;
        written += 1;
        thread::sleep(REST);
    }
    fs::remove_file(PathBuf::from(&path))?;
    Ok(written)
}

/// Lateness is counted in steps, up to a second.
const STEP_US: u64 = 10;
const STEPS: usize = 100_000;

static SCHEDULE: OnceLock<Schedule> = OnceLock::new();
static LATE: [AtomicU32; STEPS] = [const { AtomicU32::new(0) }; STEPS];
static HEARD: AtomicU64 = AtomicU64::new(0);
static COUNTS: AtomicBool = AtomicBool::new(false);
static ONLY_SNAPSHOTS: AtomicBool = AtomicBool::new(false);
static SNAPSHOT_IS_ON: AtomicBool = AtomicBool::new(false);
static SNAPSHOT_ENDED_US: AtomicU64 = AtomicU64::new(0);

/// Of the hub's tasks: a heartbeat is heard.
fn heard(id: DeviceId) {
    let Some(schedule) = SCHEDULE.get().filter(|_| COUNTS.load(Ordering::Relaxed)) else { return };
    let now = Instant::now();
    let late_us = schedule.late(id, now).as_micros() as u64;
    HEARD.fetch_add(1, Ordering::Relaxed);
    if ONLY_SNAPSHOTS.load(Ordering::Relaxed) && !SNAPSHOT_IS_ON.load(Ordering::Relaxed) {
        let due_us =
            (now.saturating_duration_since(schedule.start).as_micros() as u64).saturating_sub(late_us);
        if due_us > SNAPSHOT_ENDED_US.load(Ordering::Relaxed) {
            return;
        }
    }
    // What is later than all steps is in the last one.
    LATE[(late_us / STEP_US).min(STEPS as u64 - 1) as usize].fetch_add(1, Ordering::Relaxed);
}

/// CPU time of this process, which the kernel counts in hundredths of a second.
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("CPU time is read from /proc")?;
    let (_, behind_name) = stat.rsplit_once(')').context("/proc/self/stat has a name")?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|ticks| ticks.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/self/stat has CPU times")?;
    Ok(Duration::from_millis((user + system) * 10))
}
