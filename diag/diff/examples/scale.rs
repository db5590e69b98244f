//! Proof of scale: `cargo run --release -p diag-diff --example scale -- 1200000`
//!
//! Diffs and judges two snapshots of so many live tasks each, a tenth of them exchanged, and says
//! whether that took no longer than the half second that is promised for 1.2 million.
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

use std::time::Instant;

use diag_analysis::Analysis;
use diag_diff::{Policy, diff, judge};
use diag_snapshot::{LifetimeRow, SiteIndex, SiteRow, Snapshot, TaskId, TaskRow, TaskState};

const SITES: u32 = 8;

fn main() {
    let tasks = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_200_000);
    let (before, after) = (snapshot(0, tasks, 600_000_000), snapshot(tasks / 10, tasks, 660_000_000));
    let mut times_ms: Vec<f64> =
        (0..5).map(|_| time_ms(&before.clone().into(), &after.clone().into())).collect();
    times_ms.sort_by(f64::total_cmp);
    let verdict = if times_ms[2] <= 500.0 { "PASS" } else { "FAIL" };
    println!(
        "{verdict}: diff and verdict of {tasks} tasks each, median of 5: {:.0} ms (at most 500)",
        times_ms[2]
    );
}

fn time_ms(before: &Analysis, after: &Analysis) -> f64 {
    let start = Instant::now();
    let report = diff(before, after).map(|diff| judge(&diff, &Policy::default()));
    let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
    assert!(report.is_ok_and(|report| report.sites.len() == SITES as usize));
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
