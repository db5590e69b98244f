//! What the census takes of memory under `mlockall`, where every page that is mapped is resident: it grows with the library's tasks
//! that live, and with nothing else.
//!
//! `cargo run --release --manifest-path examples/census/Cargo.toml --bin locked`

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use diag_census::{INNER, Inner};

#[global_allocator]
static ALLOC: diag::Alloc<Inner> = diag::Alloc::new(INNER);

/// Tasks that live, one size after the other.
const SIZES: [u64; 4] = [0, 1_000, 10_000, 100_000];
/// For each of them.
const BAR_BYTES: f64 = 96.0;
/// Besides: tables that begin with the first entry, in whole chunks.
const BAR_FIXED_BYTES: f64 = 1_048_576.0;

fn main() -> Result<ExitCode> {
    match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => measure(),
        [census, tasks] => {
            println!("{}", resident_bytes(census == "on", tasks.parse().context("a number of tasks")?)?);
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("locked, or locked on|off TASKS"),
    }
}

/// After so many tasks were spawned, a hundred thousand more have come and gone. A snapshot then has all of them, or none.
#[tokio::main(flavor = "current_thread")]
async fn resident_bytes(census: bool, tasks: u64) -> Result<u64> {
    // SAFETY: changes nothing but which pages are resident.
    let locked = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) };
    ensure!(locked == 0, "mlockall is not allowed here: {}", std::io::Error::last_os_error());
    let _guard = diag::Builder::new().env(false).agent(false).census(census).start();
    let live: Vec<_> = (0..tasks).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
    for _ in 0..100_000 {
        tokio::spawn(async {}).await?;
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    let resident = resident()?;
    let found = (0..2).map(|_| diag::snapshot().live_tasks()).max().unwrap_or_default() as u64;
    ensure!(found == if census { tasks } else { 0 }, "{found} of {tasks} tasks are in the snapshot");
    drop(live);
    Ok(resident)
}

fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no resident size")?;
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().context("a size")?;
    Ok(kib * 1024)
}

fn measure() -> Result<ExitCode> {
    let mut is_within = true;
    for tasks in SIZES {
        let [off, on] = ["off", "on"].map(|census| least(census, tasks));
        let more = on? - off?;
        is_within &= more <= BAR_FIXED_BYTES + BAR_BYTES * tasks as f64;
        println!(
            "{tasks} tasks: {:+.0} KiB with the census, {:.1} bytes a task",
            more / 1024.0,
            more / tasks.max(1) as f64
        );
    }
    println!("{}", if is_within { "within the bar" } else { "ABOVE THE BAR" });
    Ok(ExitCode::from(u8::from(!is_within)))
}

/// Of a few processes: what else is mapped differs by some pages.
fn least(census: &str, tasks: u64) -> Result<f64> {
    let once = || {
        let program = std::env::current_exe().context("no program of one's own")?;
        let output = Command::new(program).args([census, &tasks.to_string()]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().context("a size")
    };
    let sizes: Vec<f64> = (0..3).map(|_| once()).collect::<Result<_>>()?;
    Ok(sizes.into_iter().fold(f64::INFINITY, f64::min))
}
