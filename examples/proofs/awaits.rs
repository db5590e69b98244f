//! Of how many parked tasks it is known where they wait, by how often a thread polls: nothing polls them for it, so a
//! busier service lends fewer of its polls. Each rate is a process of its own, as what is known comes from a budget
//! that fills up over time.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use diag_analysis::human;
use diag_examples::{args, progress};
use diag_snapshot::{Snapshot, TaskId, TaskState};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// Counts of how many tasks that rest for over a second it is known where.
#[derive(Parser)]
#[command(after_help = "Exit code 0: inside the bars. 1: below one of them.")]
struct Args {
    /// Seconds of each rate.
    #[arg(long, default_value = "20", value_parser = args::seconds)]
    seconds: Duration,
    /// One rate only: polls a second, 0 for as many as there can be.
    #[arg(long)]
    polls: Option<u64>,
}

/// Polls a second of the one worker thread; 0 is full speed.
const RATES: [u64; 6] = [100, 1_000, 10_000, 30_000, 100_000, 0];
/// Up to so many polls a second, nearly all must be known.
const RATE_OF_BAR: u64 = 10_000;
const LEAST_PERCENT: u64 = 95;
/// Of every leaking site, at any rate.
const LEAST_OF_SITE: u64 = 10;

/// Tasks that are woken in turn.
const WORKING: usize = 1_000;
/// They all begin at once.
const BURST_PERCENT: u64 = 95;
/// One leaks so often, at each site in turn.
const LEAK_EVERY: Duration = Duration::from_millis(10);
const REST_US: u64 = 1_000_000;
const SITES: [&str; 4] = ["notify", "semaphore", "channel", "oneshot"];

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(polls) = args.polls {
        let good = measure(polls, args.seconds)?;
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let program = std::env::current_exe().context("cannot find this program to run it again")?;
    let mut good = true;
    for polls in RATES {
        let seconds = args.seconds.as_secs_f64().to_string();
        let mut one = Command::new(&program);
        one.args(["--polls", &polls.to_string(), "--seconds", &seconds]).stdin(Stdio::null());
        good &= one.status()?.success();
    }
    writeln!(
        io::stdout(),
        "{}: bars {LEAST_PERCENT} % up to {} polls a second and after a burst, {LEAST_OF_SITE} of every leaking site \
         at any rate",
        if good { "known" } else { "UNKNOWN" },
        human::count(RATE_OF_BAR),
    )?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One rate, one line. True if it is inside the bars.
fn measure(polls_per_s: u64, span: Duration) -> anyhow::Result<bool> {
    let _diag = diag::Builder::new().service("awaits").agent(false).start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _inside = runtime.enter();
    let bells: Vec<Arc<Notify>> = (0..WORKING).map(|_| Arc::new(Notify::new())).collect();
    for bell in &bells {
        let bell = bell.clone();
        diag::task::Builder::new().name("working").spawn(work(bell))?;
    }
    let burst = after_burst();
    if polls_per_s == 0 {
        diag::task::Builder::new().name("busy").spawn(async {
            loop {
                diag::task::yield_now().await;
            }
        })?;
    }
    let before = polls(&diag::snapshot().into_model());
    let started = Instant::now();
    let (mut woken, mut leaked) = (0, 0);
    while started.elapsed() < span {
        let so_far = started.elapsed().as_secs_f64();
        while (woken as f64) < so_far * polls_per_s as f64 {
            bells[fastrand::usize(..WORKING)].notify_one();
            woken += 1;
        }
        while leaked * LEAK_EVERY.as_micros() < started.elapsed().as_micros() {
            let site = SITES[leaked as usize % SITES.len()];
            diag::task::Builder::new().name(site).spawn(leak(site))?;
            leaked += 1;
        }
        progress::show(&format!("{polls_per_s} polls a second, {so_far:.0} s of {} s", span.as_secs()));
        thread::sleep(Duration::from_millis(1));
    }
    progress::show("");
    let snapshot = diag::snapshot().into_model();
    let polled = (polls(&snapshot) - before) as f64 / started.elapsed().as_secs_f64();
    let rested = rested(&snapshot, REST_US);
    let (all, known) = rested.values().fold((0, 0), |(all, known), at| (all + at.0, known + at.1));
    let least = SITES.iter().map(|site| rested.get(*site).copied().unwrap_or_default().1).min().unwrap_or(0);
    ensure!(all > 0, "no task rested for a second; give more --seconds");
    let is_bound = polls_per_s > 0 && polls_per_s <= RATE_OF_BAR;
    let good =
        least >= LEAST_OF_SITE && burst >= BURST_PERCENT && (!is_bound || known * 100 >= all * LEAST_PERCENT);
    writeln!(
        io::stdout(),
        "{} polls a second: {known} of {all} tasks that rested for over 1 s are known ({} %), at least {least} of each of \
         {} leaking sites; {burst} % right after a burst of {}",
        human::count(polled as u64),
        known * 100 / all,
        SITES.len(),
        human::count(WORKING as u64),
    )?;
    Ok(good)
}

async fn work(bell: Arc<Notify>) {
    loop {
        bell.notified().await;
    }
}

async fn leak(site: &str) {
    match site {
        "notify" => Notify::new().notified().await,
        "semaphore" => drop(Semaphore::new(0).acquire().await),
        "channel" => {
            let (_sender, mut receiver) = mpsc::channel::<()>(1);
            receiver.recv().await;
        }
        _ => {
            let (_sender, receiver) = oneshot::channel::<()>();
            drop(receiver.await);
        }
    }
}

/// How many of a hundred are known as soon as all of the burst have been polled.
fn after_burst() -> u64 {
    loop {
        let rested = rested(&diag::snapshot().into_model(), 0);
        match rested.get("working") {
            Some(&(all, known)) if all == WORKING as u64 => return known * 100 / all,
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Tasks that are idle for so long at least, and of how many it is known where; by name.
fn rested(snapshot: &Snapshot, rest_us: u64) -> HashMap<String, (u64, u64)> {
    let known: HashSet<TaskId> = snapshot.parked.iter().map(|row| row.task).collect();
    let until_us = snapshot.capture.from_us.saturating_sub(rest_us);
    let mut rested: HashMap<String, (u64, u64)> = HashMap::new();
    let idle = snapshot.tasks.iter().filter(|task| task.state == TaskState::Idle);
    for task in idle.filter(|task| rest_us == 0 || task.last_poll_us.is_some_and(|us| us <= until_us)) {
        let name = task.name.and_then(|name| snapshot.strings.get(name)).unwrap_or_default();
        let (all, with_stack) = rested.entry(name.to_owned()).or_default();
        *all += 1;
        *with_stack += u64::from(known.contains(&task.id));
    }
    rested
}

/// Polls of all tasks that live.
fn polls(snapshot: &Snapshot) -> u64 {
    snapshot.tasks.iter().map(|task| task.polls).sum()
}
