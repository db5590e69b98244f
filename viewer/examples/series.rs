//! Proof of scale: `cargo build --release -p diag-viewer && cargo run --release -p diag-viewer --example series`
//!
//! Has `diag check` judge a folder of 60 snapshots, once of 20,000 tasks each and once of 1.2 million, and holds its
//! time and its peak of memory against what is promised; FAIL and exit code 1 if one is missed.
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diag_snapshot::TaskId;
use diag_test_support::crowd::crowd;
use diag_test_support::folder::Folder;

const MEMBERS: u64 = 60;
const SITES: u64 = 1_000;
const BETWEEN_US: u64 = 10_000_000;

/// What is promised of a series whose members have so many tasks.
struct Budget {
    tasks: u64,
    /// Samples of its heap, each with a stack of its own.
    stacks: u32,
    time: Duration,
    peak_mib: u64,
}

const BUDGETS: [Budget; 2] = [
    Budget { tasks: 20_000, stacks: 2_000, time: Duration::from_secs(1), peak_mib: 2048 },
    Budget { tasks: 1_200_000, stacks: 20_000, time: Duration::from_secs(30), peak_mib: 2048 },
];

fn main() -> ExitCode {
    let checker = checker();
    let only: Option<u64> = std::env::args().nth(1).map(|arg| arg.parse().expect("a number of tasks"));
    let wanted = BUDGETS.iter().filter(|budget| only.is_none_or(|tasks| budget.tasks == tasks));
    let failed = wanted.filter(|budget| !check(&checker, budget)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The command line of this build, which lies two folders above this program.
fn checker() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let path = this.ancestors().nth(2).expect("it lies in a folder of the build").join("diag");
    assert!(path.exists(), "{}: `cargo build --release -p diag-viewer` makes it", path.display());
    path
}

fn check(checker: &Path, budget: &Budget) -> bool {
    let folder = Folder::new(&format!("series-{}", budget.tasks));
    write(&folder, budget);
    let start = Instant::now();
    let mut child = Command::new(checker);
    let child = child.arg("check").arg(&*folder).stdout(Stdio::null()).stderr(Stdio::inherit());
    let Ended { code, peak_mib, cpu } = ended(child.spawn().expect("it starts"));
    let time = start.elapsed();
    let passed = time <= budget.time && peak_mib <= budget.peak_mib && matches!(code, Some(0 | 1 | 5));
    println!(
        "{}: {MEMBERS} snapshots of {} tasks: {time:.1?} (at most {:?}; {cpu:.1?} of a CPU), peak {peak_mib} MiB (at most {}), exit code {code:?}",
        if passed { "PASS" } else { "FAIL" },
        budget.tasks,
        budget.time,
        budget.peak_mib,
    );
    passed
}

/// A tenth of the tasks is another from one member to the next.
fn write(folder: &Folder, budget: &Budget) {
    let mut member = crowd(budget.tasks, SITES, budget.stacks);
    for number in 0..MEMBERS {
        let bytes = diag_snapshot::write(&member);
        diag_snapshot::file::write(&folder.join(format!("{number:02}.diag")), &bytes)
            .expect("the temporary folder takes the file");
        member.capture.to_us += BETWEEN_US;
        let mut tasks: Vec<_> = member.tasks.iter().collect();
        let next = tasks.last().map_or(0, |task| task.id.0 + 1);
        let gone = tasks.len() / 10;
        for (id, task) in (next..).zip(&mut tasks[..gone]) {
            (task.id, task.spawned_us) = (TaskId(id), member.capture.to_us - 1_000);
            task.last_poll_us = Some(task.spawned_us);
        }
        tasks.rotate_left(gone);
        member.tasks = tasks.into_iter().collect();
        for mut site in std::mem::take(&mut member.sites).iter() {
            site.spawned += gone as u64 / SITES;
            site.done += gone as u64 / SITES;
            member.sites.push(site);
        }
    }
}

struct Ended {
    code: Option<i32>,
    /// The most that it was ever resident with.
    peak_mib: u64,
    /// Its time on a CPU, which other programs disturb less.
    cpu: Duration,
}

fn ended(mut child: Child) -> Ended {
    let folder = PathBuf::from(format!("/proc/{}", child.id()));
    let facts = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (mut peak_kib, mut ticks) = (0, 0);
    loop {
        let status = facts("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib =
            peak_kib.max(peak.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0));
        // Of all fields behind the name the 12th and the 13th, in hundredths of a second on every Linux.
        let stat = facts("stat");
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(2);
        ticks = ticks.max(fields.filter_map(|field| field.parse::<u64>().ok()).sum());
        if let Some(ended) = child.try_wait().expect("it is our child") {
            let cpu = Duration::from_millis(ticks * 10);
            return Ended { code: ended.code(), peak_mib: peak_kib / 1024, cpu };
        }
        sleep(Duration::from_millis(5));
    }
}
