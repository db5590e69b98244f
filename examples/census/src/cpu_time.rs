//! CPU time of one operation, with the kernel's part: of processes of the same program that take turns, the least of each.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Switch;

/// So often each takes its turn.
const ROUNDS: usize = 15;

/// CPU time that this process had so far, of all of its threads.
pub fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time, which lives longer than this call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The least CPU time of an operation of this program, switched in these ways; it prints that when it is called with `work` and a
/// count.
///
/// # Errors
/// If the program fails, or prints something else.
pub fn least_cpu_ns<const N: usize>(work: &str, count: u64, switches: [Switch; N]) -> Result<[f64; N]> {
    let mut least = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for (least, switch) in least.iter_mut().zip(switches) {
            *least = least.min(once(work, count, switch)?);
        }
    }
    Ok(least)
}

fn once(work: &str, count: u64, switch: Switch) -> Result<f64> {
    let program = std::env::current_exe().context("no program of one's own")?;
    let output =
        Command::new(program).args([work, &count.to_string()]).envs(switch.env().iter().copied()).output()?;
    ensure!(output.status.success(), "{work} {count} failed");
    String::from_utf8_lossy(&output.stdout).trim().parse().context("it prints the time of an operation")
}
