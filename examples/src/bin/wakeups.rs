//! The proof that "lost" is never said of a healthy task, and always of a lost one.
//!
//! Three runtimes do random work on every kind of leaf as fast as they can, while snapshots are taken back to
//! back. Beside them tasks are planted that nothing can ever wake; each must be proven lost by the snapshot
//! after the first that saw it idle, unless that one says that it waited for polls in vain. A healthy task that
//! is ever proven lost, that goes on only because a snapshot polled it, or that hangs when the work is over,
//! fails the run.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use diag_examples::wakeups::planted::Planted;
use diag_examples::wakeups::workload::Workload;
use diag_examples::{args, progress};
use diag_snapshot::{Snapshot, TaskRow, human};

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

/// Planted tasks that live at once.
const PLANTED: usize = 24;
/// Snapshots that they stay for, and if some are not proven by then, at the most.
const LOOKS: [u64; 2] = [8, 400];

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let _diag = diag::Builder::new().service("wakeups").agent(false).try_init()?;
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
        tally.alarms.push(format!("tasks hang: {}", describe_live(&diag::snapshot())));
    }
    tally.alarms.extend(rescued(&diag::snapshot()));
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
    /// Those of them that nothing could wake as it seemed, by the polls that confirmed it: none or one.
    suspects: [u64; 2],
    asked: u64,
    timed_out: u64,
    planted: u64,
    at_once: u64,
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
            self.look(&diag::snapshot(), &mut planted);
        }
        self.planted += planted.count();
        self.at_once += planted.at_once();
        self.proven += planted.proven();
        self.missed += planted.missed();
        planted.remove();
    }

    fn look(&mut self, snapshot: &Snapshot, planted: &mut Planted) {
        self.looks += 1;
        if let Some(parked) = &snapshot.capture.parked {
            self.asked += parked.asked;
            self.timed_out += parked.timed_out;
        }
        for row in snapshot.tasks.iter() {
            if Planted::is_one(snapshot, &row) {
                planted.add(snapshot, &row);
            } else {
                self.look_at_healthy(snapshot, &row);
            }
        }
    }

    fn look_at_healthy(&mut self, snapshot: &Snapshot, row: &TaskRow) {
        self.tasks += 1;
        match row.lost {
            None => {}
            Some(polls @ (0 | 1)) => self.suspects[polls as usize] += 1,
            Some(_) => {
                let site = snapshot.site_location(row.site);
                self.alarms.push(format!("a healthy task is called lost, {site}: {row:?}"));
            }
        }
    }

    fn is_good(&self) -> bool {
        self.alarms.is_empty() && self.proven == self.planted && self.missed == 0
    }

    fn in_words(&self) -> String {
        format!(
            "{} looks at {} healthy tasks, {} + {} suspected (no poll and one confirmed it), {} false alarms; \
             {} lost tasks, {} proven, {} of them by the first look, {} missed; {} polls asked, {} not in time",
            human::count(self.looks),
            human::count(self.tasks),
            human::count(self.suspects[0]),
            human::count(self.suspects[1]),
            self.alarms.len(),
            human::count(self.planted),
            human::count(self.proven),
            human::count(self.at_once),
            human::count(self.missed),
            human::count(self.asked),
            human::count(self.timed_out),
        )
    }
}

/// The sites of which a task went on only because a snapshot polled it. None here loses a wake-up.
fn rescued(snapshot: &Snapshot) -> Vec<String> {
    let rescued = snapshot.sites.iter().filter(|site| site.rescued.is_some_and(|times| times > 0));
    let file = |site: &diag_snapshot::SiteRow| snapshot.strings.show(site.file).to_owned();
    rescued.map(|site| format!("rescued without need: {}:{} {site:?}", file(&site), site.line)).collect()
}

/// Where the live tasks were spawned.
fn describe_live(snapshot: &Snapshot) -> String {
    let tasks = snapshot.tasks.iter().take(20);
    let describe = |task: TaskRow| format!("{} {}", snapshot.site_location(task.site), task.state.as_str());
    tasks.map(describe).collect::<Vec<_>>().join(", ")
}
