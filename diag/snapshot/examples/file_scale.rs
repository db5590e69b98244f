//! The format at full size: `cargo run --release -p diag-snapshot --example file_scale -- --tasks 1200000`.
//!
//! Builds a service of so many tasks, writes its file and reads it back in a process of its own, and
//! holds the figures against the budgets; FAIL and exit code 1 if one is missed.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use diag_snapshot::{Row, Snapshot, TaskRow};
use diag_test_support::iothub;

const BYTES_PER_TASK: f64 = 16.0;
const SAMPLES: u64 = 20_000;
const READ: Duration = Duration::from_millis(500);
const PEAK_OVER_DECODED: f64 = 3.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let passed = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write_and_read(1_200_000),
        ["--tasks", tasks] => write_and_read(tasks.parse().expect("--tasks takes a number")),
        ["--read", path] => read(Path::new(path)),
        _ => panic!("usage: scale [--tasks N]"),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the file here and reads it in a child, so that the two peaks of memory do not mix.
fn write_and_read(tasks: u64) -> bool {
    let mut snapshot = iothub::service(tasks, SAMPLES);
    let rows = std::mem::take(&mut snapshot.tasks);
    let other_bytes = diag_snapshot::write(&snapshot).len();
    snapshot.tasks = rows;
    let start = Stopwatch::start();
    let bytes = diag_snapshot::write(&snapshot);
    let time = start.show();
    let per_task = (bytes.len() - other_bytes) as f64 / tasks as f64;
    let size = mib(bytes.len() as u64);
    println!("write {tasks} tasks: {time}, {size} or {per_task:.1} bytes a task, {}", memory(&snapshot));
    let passed = per_task <= BYTES_PER_TASK && peak_ratio(&snapshot) <= PEAK_OVER_DECODED;
    let passed = read_in_child(&bytes) && passed;
    println!(
        "{}: at most {BYTES_PER_TASK} bytes a task, {READ:?} to read, {PEAK_OVER_DECODED}x the decoded columns",
        if passed { "PASS" } else { "FAIL" },
    );
    passed
}

fn read_in_child(bytes: &[u8]) -> bool {
    let path = std::env::temp_dir().join(format!("diag-scale-{}.diag", std::process::id()));
    diag_snapshot::file::write(&path, bytes).expect("the temporary folder takes the file");
    let this = std::env::current_exe().expect("this program has a path");
    let read = Command::new(this).arg("--read").arg(&path).status().expect("this program runs");
    std::fs::remove_file(&path).expect("the file just written is there");
    read.success()
}

/// The quickest of three reads counts: what else the machine does only ever adds.
fn read(path: &Path) -> bool {
    let read = || {
        let start = Stopwatch::start();
        let whole = diag_snapshot::file::read(path).expect("the file is whole");
        (start.wall.elapsed(), start.show(), whole)
    };
    let before = [read().0, read().0];
    let (last, time, (snapshot, damage)) = read();
    let best = before.into_iter().fold(last, Duration::min);
    let rows = snapshot.tasks.len();
    println!("read {rows} tasks: {time}, the best of three {best:.0?}, {}", memory(&snapshot));
    damage.is_empty() && best <= READ && peak_ratio(&snapshot) <= PEAK_OVER_DECODED
}

/// Wall time, which the budget is in, and CPU time, which other programs disturb less.
struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch { wall: Instant::now(), cpu: cpu_time() }
    }

    fn show(&self) -> String {
        format!("{:.0?} ({:.0?} CPU)", self.wall.elapsed(), cpu_time() - self.cpu)
    }
}

fn cpu_time() -> Duration {
    let times = std::fs::read_to_string("/proc/self/schedstat").expect("Linux has procfs");
    let ns = times.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.expect("procfs tells the time on the CPU"))
}

fn memory(snapshot: &Snapshot) -> String {
    let (peak, decoded) = (mib(peak_bytes()), mib(decoded_bytes(snapshot)));
    format!("peak {peak} = {:.2}x the decoded {decoded}", peak_ratio(snapshot))
}

fn peak_ratio(snapshot: &Snapshot) -> f64 {
    peak_bytes() as f64 / decoded_bytes(snapshot) as f64
}

/// The columns of the tasks alone; the rest is small beside them.
fn decoded_bytes(snapshot: &Snapshot) -> u64 {
    (snapshot.tasks.len() * TaskRow::TABLE.columns.len() * 8) as u64
}

/// The most that this process was ever resident with.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has procfs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("procfs tells the peak") * 1024
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
