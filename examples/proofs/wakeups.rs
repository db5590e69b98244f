//! The proof that "lost" is never said of a healthy task, and always of a lost one.
//!
//! Three runtimes do random work on every kind of leaf as fast as they can, while snapshots are taken back to
//! back, none of which polls anything. Beside them tasks are planted that nothing can ever wake; each must be proven
//! lost by the first snapshot that sees it idle, and stay so. A healthy task that is ever proven lost, or that hangs
//! when the work is over, fails the run.
//!
//! Besides it is counted of how many tasks that rest for longer than a second it is known where.

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use diag_analysis::human;
use diag_examples::wakeups::planted::Planted;
use diag_examples::wakeups::workload::Workload;
use diag_examples::{args, progress};
use diag_snapshot::{Snapshot, TaskId, TaskRow, TaskState};

/// Looks for lost wake-ups among tasks that are healthy, and among some that are not.
#[derive(Parser)]
#[command(
    after_help = "Exit code 0: no false alarm and none missed. 1: otherwise, with the tasks in question."
)]
struct Args {
    /// For so long.
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
}

/// So long a rest that it should be known where.
const LONG_US: u64 = 1_000_000;
/// Planted tasks that live at once.
const PLANTED: usize = 24;
/// Snapshots that they stay for, and if some were not seen idle by then, at the most.
const LOOKS: [u64; 2] = [8, 400];

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let _diag = diag::Builder::new().service("wakeups").agent(false).start();
    let workload = Workload::start()?;
    let mut tally = Tally::default();
    let end = Instant::now() + args.seconds;
    while Instant::now() < end {
        tally.plant_and_look(&workload);
        let left = end.saturating_duration_since(Instant::now());
        progress::show(&format!("{}; {:.0} s left", tally.in_words(), left.as_secs_f64()));
    }
    progress::show("");
    let rounds = workload.rounds();
    if !workload.stop() {
        tally.alarms.push(format!("tasks hang: {}", describe_live(&diag::snapshot().into_model())));
    }
    let mut out = io::stdout().lock();
    tally.alarms.iter().try_for_each(|alarm| writeln!(out, "{alarm}"))?;
    let verdict = if tally.is_good() { "sound" } else { "NOT SOUND" };
    writeln!(out, "{verdict}: {} rounds of work, {}", human::count(rounds), tally.in_words())?;
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the snapshots have said so far.
#[derive(Default)]
struct Tally {
    looks: u64,
    /// Rows of healthy tasks.
    tasks: u64,
    /// Those of them that nothing could wake but a poll that might have been owed.
    likely: u64,
    /// Healthy tasks that rested for more than a second, and how many of them it is known where.
    resting: u64,
    known: u64,
    polls_asked: u64,
    planted: u64,
    proven: u64,
    missed: u64,
    /// Each a false alarm, or another thing that must not be.
    alarms: Vec<String>,
}

impl Tally {
    /// Loses some tasks and looks for them until they are found, among all the others.
    fn plant_and_look(&mut self, workload: &Workload) {
        let mut planted = Planted::plant(PLANTED, workload.runtimes());
        let [usual, most] = LOOKS;
        let looks_before = self.looks;
        while self.looks - looks_before < usual
            || (planted.proven() < planted.count() && self.looks - looks_before < most)
        {
            self.look(&diag::snapshot().into_model(), &mut planted);
        }
        self.planted += planted.count();
        self.proven += planted.proven();
        self.missed += planted.missed();
        planted.remove();
    }

    fn look(&mut self, snapshot: &Snapshot, planted: &mut Planted) {
        self.looks += 1;
        self.polls_asked += snapshot.capture.parked.as_ref().map_or(0, |parked| parked.asked);
        let known: HashSet<TaskId> = snapshot.parked.iter().map(|row| row.task).collect();
        for row in snapshot.tasks.iter() {
            if Planted::is_one(snapshot, &row) {
                planted.add(&row);
            } else {
                self.look_at_healthy(snapshot, &row);
                self.add_resting(snapshot, &row, &known);
            }
        }
    }

    fn look_at_healthy(&mut self, snapshot: &Snapshot, row: &TaskRow) {
        self.tasks += 1;
        match row.lost {
            None => {}
            Some(0 | 1) => self.likely += 1,
            Some(_) => {
                let site = snapshot.site_location(row.site);
                self.alarms.push(format!("a healthy task is called lost, {site}: {row:?}"));
            }
        }
    }

    /// A task whose wakers nobody counts is a closure's, which is parked nowhere.
    fn add_resting(&mut self, snapshot: &Snapshot, row: &TaskRow, known: &HashSet<TaskId>) {
        let idle_us = snapshot.capture.to_us.saturating_sub(row.last_progress_us().unwrap_or(row.spawned_us));
        if row.state == TaskState::Idle && row.wakers.is_some_and(|wakers| wakers > 0) && idle_us > LONG_US {
            self.resting += 1;
            self.known += u64::from(known.contains(&row.id));
        }
    }

    fn is_good(&self) -> bool {
        let all_found = self.proven == self.planted && self.missed == 0;
        self.alarms.is_empty() && all_found && self.polls_asked == 0
    }

    fn in_words(&self) -> String {
        format!(
            "{} looks at {} healthy tasks, {} likely lost, {} false alarms; {} lost tasks, {} proven, {} missed; \
             {} of {} that rested over a second known where; {} polls asked",
            human::count(self.looks),
            human::count(self.tasks),
            human::count(self.likely),
            self.alarms.len(),
            human::count(self.planted),
            human::count(self.proven),
            human::count(self.missed),
            human::count(self.known),
            human::count(self.resting),
            human::count(self.polls_asked),
        )
    }
}

/// Where the live tasks were spawned.
fn describe_live(snapshot: &Snapshot) -> String {
    let tasks = snapshot.tasks.iter().take(20);
    let describe = |task: TaskRow| format!("{} {}", snapshot.site_location(task.site), task.state.as_str());
    tasks.map(describe).collect::<Vec<_>>().join(", ")
}
