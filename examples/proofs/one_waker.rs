//! The proof that captures leave a service alone that does not forgive a poll too many.
//!
//! Two tasks share a place for one waker; one of them is forgotten, the other hears a bell 48 times a second. Captures
//! are taken all along, into files as a service has them and into memory, and the bell goes on to be heard. Then the
//! control: captures that have tasks polled, by which the working task is woken no more.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use anyhow::Context as _;
use clap::Parser;
use diag_examples::one_waker::{Service, row};
use diag_examples::{args, progress};
use diag_snapshot::Snapshot;

/// Captures a service with a place for one waker, and says whether it goes on.
#[derive(Parser)]
#[command(
    after_help = "Exit code 0: each ring was heard while nobody asked, and one was not when somebody did. \
                        1: otherwise."
)]
struct Args {
    /// For so long.
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
}

const RINGS_PER_SECOND: u32 = 48;
/// A ring that is not heard by then, on the busiest machine, is not heard.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a file is written, and a capture taken besides.
const EVERY: Duration = Duration::from_millis(100);
const KEEP: usize = 10;
/// The first of them leaves the place to the forgotten task, which is polled after the other.
const MOST_ASKED: u32 = 100;
/// By then a ring is heard, as nothing else is done in the control; one that comes later is heard at the next.
const PATIENCE_OF_CONTROL: Duration = Duration::from_millis(300);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let folder = env::temp_dir().join(format!("diag-one-waker-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let done = prove(args.seconds, &folder);
    // A file may come while it is emptied.
    while fs::remove_dir_all(&folder).is_err_and(|error| error.kind() == ErrorKind::DirectoryNotEmpty) {}
    done
}

fn prove(seconds: Duration, folder: &Path) -> anyhow::Result<ExitCode> {
    let _diag =
        diag::Builder::new().service("one-waker").agent(false).dir(folder).every(EVERY).keep(KEEP).start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let service = Service::start(runtime.handle());
    let captures = Captures::start();
    let rings = Rings::ring_for(seconds, &service);
    let captures = captures.stop();
    let polls = Polls::of_both(&service)?;
    let files = fs::read_dir(folder)?.count();
    let stopped_by = capture_that_stops(&service);
    let is_good =
        rings.is_good() && captures.is_good() && polls.is_good(&rings) && files > 0 && stopped_by.is_some();
    let control = match stopped_by {
        Some(capture) => format!("stopped by capture {capture} that asks, and called lost"),
        None => format!("at work after {MOST_ASKED} captures that ask"),
    };
    let per_second = polls.working as f64 / rings.took.as_secs_f64();
    writeln!(
        io::stdout(),
        "{}: {} of {} rings heard in {:.0} s, the slowest after {:.0} ms; {per_second:.1} polls a second, {} of the \
         forgotten task; {} captures beside files, in {} the working task lost, in {} the forgotten one not; \
         control: {control}",
        if is_good { "sound" } else { "NOT SOUND" },
        rings.heard,
        rings.due,
        rings.took.as_secs_f64(),
        rings.slowest.as_secs_f64() * 1e3,
        polls.forgotten,
        captures.count,
        captures.false_alarms,
        captures.missed,
    )?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bell.
struct Rings {
    due: u32,
    heard: u32,
    slowest: Duration,
    took: Duration,
}

impl Rings {
    /// Rings until the time is over, or one is not heard. One that comes late puts off none after it.
    fn ring_for(time: Duration, service: &Service) -> Self {
        let started = Instant::now();
        let due = (time.as_secs_f64() * f64::from(RINGS_PER_SECOND)) as u32;
        let mut rings = Rings { due, heard: 0, slowest: Duration::ZERO, took: Duration::ZERO };
        while rings.heard < due {
            let next = started + Duration::from_secs(1) * rings.heard / RINGS_PER_SECOND;
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let Some(after) = service.ring(PATIENCE) else { break };
            rings.heard += 1;
            rings.slowest = rings.slowest.max(after);
            progress::show(&format!("{} of {due} rings heard", rings.heard));
        }
        progress::show("");
        rings.took = started.elapsed();
        rings
    }

    fn is_good(&self) -> bool {
        self.heard == self.due
    }
}

/// Captures that poll nothing, and what they say.
#[derive(Default)]
struct Captures {
    count: u64,
    /// In which the working task was called lost.
    false_alarms: u64,
    /// In which the forgotten task was not.
    missed: u64,
}

impl Captures {
    fn start() -> Capturing {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut captures = Captures::default();
            while !stopped.load(Ordering::Relaxed) {
                captures.take();
                thread::sleep(EVERY);
            }
            captures
        });
        Capturing { stop, thread }
    }

    fn take(&mut self) {
        let snapshot = diag::snapshot().into_model();
        self.count += 1;
        self.false_alarms += u64::from(is_called_lost(&snapshot, "working"));
        self.missed += u64::from(!is_called_lost(&snapshot, "forgotten"));
    }

    fn is_good(&self) -> bool {
        self.count > 0 && self.false_alarms == 0 && self.missed == 0
    }
}

struct Capturing {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Captures>,
}

impl Capturing {
    fn stop(self) -> Captures {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("captures do not panic")
    }
}

/// Also if it is said as likely.
fn is_called_lost(snapshot: &Snapshot, name: &str) -> bool {
    row(snapshot, name).is_some_and(|row| row.lost.is_some())
}

/// How often each task was polled.
struct Polls {
    working: u64,
    forgotten: u64,
}

impl Polls {
    fn of_both(service: &Service) -> anyhow::Result<Self> {
        let working = row(&diag::snapshot().into_model(), "working").context("it works for ever")?.polls;
        Ok(Polls { working, forgotten: service.forgotten_polls() })
    }

    /// One poll a ring, but for a ring that comes while the task is about to wait for it.
    fn is_good(&self, rings: &Rings) -> bool {
        let rings = u64::from(rings.heard);
        self.forgotten == 1 && self.working.abs_diff(rings) <= rings / 20 + 10
    }
}

/// Which capture that asks has stopped the working task, if one has.
fn capture_that_stops(service: &Service) -> Option<u32> {
    (1..=MOST_ASKED).find(|_| {
        diag::snapshot_asking().into_model();
        is_called_lost(&diag::snapshot().into_model(), "working")
            && service.ring(PATIENCE_OF_CONTROL).is_none()
    })
}
