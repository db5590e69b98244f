//! The format at full size: `cargo run --release -p diag-snapshot --example scale -- --tasks 1200000`.
//!
//! Builds a service of so many tasks, writes its file and reads it back in a process of its own, and
//! holds the figures against the budgets; FAIL and exit code 1 if one is missed.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use diag_snapshot::{Row, Table, TaskRow, human};

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
    let mut snapshot = support::service(tasks, SAMPLES);
    let rows = std::mem::take(&mut snapshot.tasks);
    let other_bytes = diag_snapshot::write(&snapshot).len();
    snapshot.tasks = rows;
    let built_peak = peak_bytes();
    let start = Instant::now();
    let bytes = diag_snapshot::write(&snapshot);
    let time = start.elapsed();
    let decoded = decoded_bytes(&snapshot.tasks);
    let peak_ratio = peak_bytes() as f64 / decoded as f64;
    let per_task = (bytes.len() - other_bytes) as f64 / tasks as f64;
    println!(
        "write: {} tasks in {time:.0?}, {} or {per_task:.2} bytes a task; peak {} ({peak_ratio:.2}x the decoded {}; {} before)",
        human::count(tasks),
        human::bytes(bytes.len() as u64),
        human::bytes(peak_bytes()),
        human::bytes(decoded),
        human::bytes(built_peak),
    );
    let path = std::env::temp_dir().join(format!("diag-scale-{}.diag", std::process::id()));
    diag_snapshot::file::write(&path, &bytes).expect("the temporary folder takes the file");
    let read = Command::new(std::env::current_exe().expect("this program has a path"))
        .arg("--read")
        .arg(&path)
        .status();
    std::fs::remove_file(&path).expect("the file just written is there");
    let passed = per_task <= BYTES_PER_TASK && peak_ratio <= PEAK_OVER_DECODED;
    verdict(passed, "write") && read.expect("this program runs").success()
}

fn read(path: &Path) -> bool {
    let start = Instant::now();
    let (snapshot, damage) = diag_snapshot::file::read(path).expect("the file is whole");
    let time = start.elapsed();
    let peak = peak_bytes();
    let decoded = decoded_bytes(&snapshot.tasks);
    let ratio = peak as f64 / decoded as f64;
    println!(
        "read:  {} tasks and {} samples in {time:.0?}; peak {} ({ratio:.2}x the decoded {})",
        human::count(snapshot.tasks.len() as u64),
        human::count(SAMPLES),
        human::bytes(peak),
        human::bytes(decoded),
    );
    let start = Instant::now();
    let lines = diag_snapshot::dump::dump(&snapshot).lines().count();
    println!("dump:  {lines} lines in {:.0?}", start.elapsed());
    verdict(damage.is_empty() && time <= READ && ratio <= PEAK_OVER_DECODED, "read")
}

fn verdict(passed: bool, what: &str) -> bool {
    println!("{} {what}", if passed { "PASS" } else { "FAIL" });
    passed
}

fn decoded_bytes(tasks: &Table<TaskRow>) -> u64 {
    (tasks.len() * TaskRow::COLUMNS.len() * 8) as u64
}

/// The most that this process was ever resident with.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has procfs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("procfs tells the peak") * 1024
}
