//! The proof that a service which its control group's limit on memory kills leaves a snapshot of the moment before, and
//! that this one says when the end comes.
//!
//! Each round makes a memory group of its own inside of this process's, of version 1 or 2, whichever the host has; starts
//! a service in it that leaks a constant part of the limit a second, and waits until it is killed. Where no group can
//! be made nothing is proven, which is said and counted.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use diag::Trigger;
use diag_examples::progress;
use diag_snapshot::{Cause, Snapshot, file};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Has a leaking service killed by its memory limit, and says whether it left a snapshot and a right forecast.
#[derive(Parser)]
#[command(
    after_help = "Exit code 0: each left one, and the forecasts are right; or no group can be made here. 1: not so."
)]
struct Args {
    /// Kills for each limit.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Limits in MiB.
    #[arg(long, value_delimiter = ',', default_value = "128,512")]
    limits: Vec<u64>,
    /// What is leaked a second, in percent of the limit.
    #[arg(long, default_value_t = 10)]
    percent: u64,
    /// Be the service: leak so many bytes a second, and keep last snapshots in this folder.
    #[arg(long, hide = true, num_args = 2)]
    leak: Option<Vec<String>>,
}

/// A forecast may be off by so much.
const OFF_PERCENT: f64 = 15.0;
/// A round that takes longer does not end by the limit.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(leak) = args.leak {
        let [rate, folder] = &leak[..] else { bail!("--leak takes a rate and a folder") };
        return serve(rate.parse()?, Path::new(folder));
    }
    let (mut is_good, mut skipped) = (true, 0);
    for mib in &args.limits {
        let mut found = Found::default();
        for number in 0..args.rounds {
            progress::show(&format!("limit {mib} MiB, round {} of {}", number + 1, args.rounds));
            match Group::new(mib << 20) {
                Ok(group) => found.add(round(&group, mib << 20, args.percent)?),
                Err(_) => skipped += 1,
            }
        }
        if found.rounds > 0 {
            writeln!(io::stdout(), "{}", found.in_words(*mib, args.percent))?;
            is_good &= found.is_good();
        }
    }
    if skipped > 0 {
        writeln!(io::stdout(), "skipped: {skipped} rounds, as no memory group can be made here")?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The service: tasks that do a little, and one that leaks.
fn serve(bytes_per_second: u64, folder: &Path) -> anyhow::Result<ExitCode> {
    const STEPS: u64 = 50;
    let builder = diag::Builder::new().service("leaky").env(false).agent(false).stderr(false);
    let guard = builder.dir(folder).every(Duration::from_secs(3_600)).last([Trigger::Limit]).start();
    ensure!(guard.problems().is_empty(), "{:?}", guard.problems());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        for _ in 0..100 {
            diag::spawn(async { tokio::time::sleep(Duration::from_secs(3_600)).await });
        }
        let leaks = async move {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            let step = Duration::from_secs(1) / STEPS as u32;
            let (started, mut leaked) = (Instant::now(), 0_u64);
            loop {
                tokio::time::sleep(step).await;
                // By the clock, so that a late step leaks more.
                let due = (started.elapsed().as_secs_f64() * bytes_per_second as f64) as u64;
                kept.push(black_box(vec![7; due.saturating_sub(leaked) as usize]));
                leaked = leaked.max(due);
            }
        };
        diag::spawn(leaks).await?
    })
}

/// A memory group inside of this process's own, removed when dropped.
struct Group(PathBuf);

impl Group {
    fn new(limit_bytes: u64) -> anyhow::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let of_first = groups.lines().find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
        let (root, limit, path) = match of_first {
            Some(path) => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path),
            None => {
                let path = groups.lines().find_map(|line| line.strip_prefix("0::")).context("no group")?;
                ("/sys/fs/cgroup", "memory.max", path)
            }
        };
        let name = format!("last-snapshot-{}", std::process::id());
        let group = Group(Path::new(&format!("{root}{path}")).join(name));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(limit), limit_bytes.to_string())?;
        Ok(group)
    }

    /// Whether the kernel has killed in it. It counts that at once; to take half a GiB from who is killed, and so to have it
    /// waited for, takes 0.1 s more.
    fn has_killed(&self) -> bool {
        let told = ["memory.oom_control", "memory.events"].map(|name| fs::read_to_string(self.0.join(name)));
        let lines = told.iter().flatten().flat_map(|text| text.lines());
        lines.filter_map(|line| line.strip_prefix("oom_kill ")).any(|times| times.trim() != "0")
    }

    /// Starts this program in it.
    fn start(&self, args: &[&str]) -> io::Result<Child> {
        // A shell goes in and becomes the program, whose every page counts so.
        let enter = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        let program = std::env::current_exe()?;
        Command::new("sh")
            .args(["-c", enter])
            .arg(&self.0)
            .arg(program)
            .args(args)
            .stdin(Stdio::null())
            .spawn()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may be on its way out.
        let patience = Instant::now();
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && patience.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a round left.
struct Round {
    ended: ExitStatus,
    ended_unix_us: u64,
    /// Each that was there for a while: when its capture began, and what it was taken for.
    kept: Vec<(u64, Cause)>,
    /// The last one has all that belongs in it.
    is_whole: bool,
}

fn round(group: &Group, limit_bytes: u64, percent: u64) -> anyhow::Result<Round> {
    let folder = std::env::temp_dir().join(format!("diag-last-snapshot-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let rate = (limit_bytes / 100 * percent).to_string();
    let mut child = group.start(&["--leak", &rate, &folder.to_string_lossy()])?;
    let (started, mut seen, mut killed_us) = (Instant::now(), BTreeMap::new(), None);
    let ended = loop {
        if killed_us.is_none() && group.has_killed() {
            killed_us = Some(unix_us()?);
        }
        look(&folder, &mut seen);
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("it lives after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let ended_unix_us = killed_us.map_or_else(unix_us, Ok)?;
    let is_whole = look(&folder, &mut seen).is_some_and(|snapshot| {
        !snapshot.tasks.is_empty() && snapshot.heap.is_some_and(|heap| !heap.samples.is_empty())
    });
    fs::remove_dir_all(&folder)?;
    Ok(Round { ended, ended_unix_us, kept: seen.into_iter().collect(), is_whole })
}

fn unix_us() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64)
}

/// Remembers what the last snapshot for the limit says, if it is another one than before, and gives it.
fn look(folder: &Path, seen: &mut BTreeMap<u64, Cause>) -> Option<Snapshot> {
    let mut paths = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let path = paths.find(|path| path.to_string_lossy().ends_with("-last-limit.diag"))?;
    let (snapshot, damages) = file::read(&path).ok()?;
    let from = snapshot.process.started_unix_us.saturating_add(snapshot.capture.from_us);
    if let Some(cause) = snapshot.capture.cause.clone().filter(|_| damages.is_empty()) {
        seen.insert(from, cause);
    }
    damages.is_empty().then_some(snapshot)
}

/// What the rounds of one limit left.
#[derive(Default)]
struct Found {
    rounds: usize,
    killed: usize,
    with_snapshot: usize,
    kept: usize,
    /// Of each forecast how far it was off, in percent.
    off: Vec<f64>,
    gaps: Vec<u64>,
    source: String,
}

impl Found {
    fn add(&mut self, round: Round) {
        self.rounds += 1;
        self.killed += usize::from(round.ended.signal() == Some(9));
        self.with_snapshot += usize::from(round.is_whole);
        self.kept += round.kept.len();
        for (from_us, cause) in round.kept {
            self.source = cause.source;
            let left_ms = round.ended_unix_us.saturating_sub(from_us) as f64 / 1e3;
            // None before the rate is known is no right forecast either.
            self.off.push(cause.limit_in_ms.map_or(100.0, |ms| (ms as f64 - left_ms) / left_ms * 100.0));
            self.gaps.extend(cause.gap_bytes);
        }
    }

    fn median_off(&self) -> f64 {
        let mut off: Vec<f64> = self.off.iter().map(|off| off.abs()).collect();
        off.sort_by(f64::total_cmp);
        off.get(off.len() / 2).copied().unwrap_or(100.0)
    }

    fn within(&self) -> usize {
        self.off.iter().filter(|off| off.abs() <= OFF_PERCENT).count()
    }

    fn is_good(&self) -> bool {
        self.killed == self.rounds && self.with_snapshot == self.rounds && self.median_off() <= OFF_PERCENT
    }

    fn in_words(&self, mib: u64, percent: u64) -> String {
        let worst = self.off.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
        format!(
            "{}: limit {mib} MiB, {percent} % of it a second: {} of {} killed, {} left a whole snapshot; {} forecasts: \
             {} within {OFF_PERCENT} %, median off {:.1} %, worst {worst:.1} %; last gap {:.1} MiB ({})",
            if self.is_good() { "good" } else { "BAD" },
            self.killed,
            self.rounds,
            self.with_snapshot,
            self.off.len(),
            self.within(),
            self.median_off(),
            self.gaps.iter().min().map_or(0.0, |&gap| gap as f64 / f64::from(1 << 20)),
            self.source,
        )
    }
}
