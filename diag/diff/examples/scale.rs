//! Proof of scale: `cargo run --release -p diag-diff --example scale -- 1200000`
//!
//! Diffs and judges two snapshots of so many live tasks each, a tenth of them exchanged, and two of 100,000 stacks
//! each; says whether that took no longer than the half second that is promised for 1.2 million tasks, and the second
//! for the stacks. Exit code 1 if it did.
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

use std::process::ExitCode;
use std::time::Instant;

use diag_analysis::Analysis;
use diag_diff::{Policy, diff, judge};
use diag_snapshot::{LifetimeRow, SampleRow, SiteIndex, SiteRow, Snapshot, TaskId, TaskRow, TaskState};
use diag_test_support::crowd::crowd;

const SITES: u32 = 8;

/// Stacks of the heap's samples, each with a function of its own.
const STACKS: u32 = 100_000;

fn main() -> ExitCode {
    let tasks = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_200_000);
    let of_tasks = proof(
        &format!("{tasks} tasks each"),
        500.0,
        SITES as usize,
        &snapshot(0, tasks, 600_000_000),
        &snapshot(tasks / 10, tasks, 660_000_000),
    );
    let (before, after) = (crowd(20_000, 1_000, STACKS), grown(crowd(20_000, 1_000, STACKS)));
    let of_stacks = proof(&format!("{STACKS} stacks each"), 1_000.0, 1_000, &before, &after);
    if of_tasks && of_stacks { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A minute later, with another block at every tenth stack.
fn grown(mut snapshot: Snapshot) -> Snapshot {
    let (before_us, now_us) = (snapshot.capture.to_us, snapshot.capture.to_us + 60_000_000);
    (snapshot.capture.from_us, snapshot.capture.to_us) = (now_us, now_us);
    let samples = &mut snapshot.heap.as_mut().expect("a crowd has a heap").samples;
    let new: Vec<_> = samples.iter().step_by(10).collect();
    for (at, sample) in (u64::from(STACKS)..).zip(new) {
        samples.push(SampleRow { birth: at, born_us: before_us + at, ..sample });
    }
    snapshot
}

/// Prints whether the median of five is within the budget. Nothing is known of either snapshot from one time to the next.
fn proof(what: &str, budget_ms: f64, sites: usize, before: &Snapshot, after: &Snapshot) -> bool {
    let mut times_ms: Vec<f64> =
        (0..5).map(|_| time_ms(&before.clone().into(), &after.clone().into(), sites)).collect();
    times_ms.sort_by(f64::total_cmp);
    let passed = times_ms[2] <= budget_ms;
    println!(
        "{}: diff and verdict of {what}, median of 5: {:.0} ms (at most {budget_ms})",
        if passed { "PASS" } else { "FAIL" },
        times_ms[2]
    );
    passed
}

fn time_ms(before: &Analysis, after: &Analysis, sites: usize) -> f64 {
    let start = Instant::now();
    let report = diff(before, after).map(|diff| judge(&diff, &Policy::default()));
    let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
    assert!(report.is_ok_and(|report| report.sites.len() == sites));
    elapsed_ms
}

fn snapshot(first: u64, tasks: u64, now_us: u64) -> Snapshot {
    let mut snapshot = Snapshot::default();
    (snapshot.capture.from_us, snapshot.capture.to_us) = (now_us, now_us);
    snapshot.sites = (0..SITES).map(|line| site(&mut snapshot, line)).collect();
    snapshot.lifetimes = (0..SITES)
        .map(|site| LifetimeRow { site: SiteIndex(site), bucket: 10 + site, count: 1000 })
        .collect();
    snapshot.tasks = (first..first + tasks).map(|id| task(id, now_us)).collect();
    snapshot
}

fn site(snapshot: &mut Snapshot, line: u32) -> SiteRow {
    let (file, type_name) = (snapshot.strings.intern("scale.rs"), snapshot.strings.intern("scale::task"));
    SiteRow {
        spawned: 200_000,
        done: 1000,
        file,
        line,
        column: 1,
        type_name,
        future_bytes: 512,
        ..SiteRow::default()
    }
}

fn task(id: u64, now_us: u64) -> TaskRow {
    // A fixed scramble of the id, so that neighbours differ as they do in a service.
    let chance = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let spawned_us = (id * 300).min(now_us);
    let site = SiteIndex((chance % u64::from(SITES)) as u32);
    TaskRow {
        tokio_id: Some(id + 7),
        state: TaskState::Idle,
        last_poll_us: Some(spawned_us + chance % (now_us - spawned_us + 1)),
        polls: 1 + chance % 100,
        busy_ns: chance,
        longest_poll_ns: chance / 2,
        id: TaskId(id),
        site,
        spawned_us,
        ..TaskRow::default()
    }
}
