//! The proof that the recorder's memory is flat: hundreds of millions of tasks, each spawned on one thread and
//! ended on another.
//!
//! Two workers spawn onto each other. Some tasks keep their handle until they are joined, others lose it at once,
//! are aborted, have a name, yield, or leave a waker behind that is used when they are long gone: all the ways in
//! which a record can be held and given back. Memory is compared between the second quarter of the run and the
//! last, since the first one warms up.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;
use diag::task::{Builder, JoinHandle, yield_now};
use diag_analysis::human;
use diag_examples::progress;
use diag_snapshot::Snapshot;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Barrier;

/// Spawns very many short tasks across two threads, and says whether the recorder's memory stays flat.
#[derive(Parser)]
#[command(after_help = "Exit code 0: flat. 1: it grew, or the recorder lost count.")]
struct Args {
    /// Tasks to spawn.
    #[arg(long, default_value_t = 20_000_000)]
    spawns: u64,
}

/// Tasks that a worker spawns before it waits for them.
const BATCH: u64 = 1_000;
/// Looks at the memory.
const SAMPLES: usize = 40;
/// How far the peak of the last quarter may lie above that of the second: pages come in steps, and records by the
/// MiB when more tasks live at once than ever before.
const SLACK_BYTES: u64 = 1 << 20;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let batches = args.spawns / (2 * BATCH);
    ensure!(batches >= SAMPLES as u64, "--spawns {}: too few to tell, give a million", args.spawns);
    let _diag = diag::Builder::new().service("soak").agent(false).start();
    let (started, soak) = (Instant::now(), Soak::new());
    let samples = run(batches, soak)?;
    let verdict = Verdict::of(&samples, &diag::snapshot().into_model(), 2 * batches * BATCH);
    let crossed = soak.crossed.load(Ordering::Relaxed);
    writeln!(io::stdout(), "{}", verdict.in_words(started.elapsed(), crossed))?;
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the workers share, and the watcher.
struct Soak {
    batches_done: AtomicU64,
    /// Tasks that were polled on another thread than they were spawned on.
    crossed: AtomicU64,
    left_behind: Mutex<Option<Waker>>,
    both_done: Barrier,
}

impl Soak {
    /// For ever: tasks refer to it.
    fn new() -> &'static Self {
        Box::leak(Box::new(Soak {
            batches_done: AtomicU64::new(0),
            crossed: AtomicU64::new(0),
            left_behind: Mutex::new(None),
            both_done: Barrier::new(2),
        }))
    }

    /// Keeps one waker, and uses the one that it kept until now, whose task ended long ago.
    fn leave_behind(&self, waker: &Waker) {
        let mut kept = self.left_behind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stale) = kept.replace(waker.clone()) {
            stale.wake();
        }
    }
}

/// Both workers from begin to end, with the memory as it was on the way.
fn run(batches: u64, soak: &'static Soak) -> anyhow::Result<Vec<Sample>> {
    let runtimes = [one_thread()?, one_thread()?];
    let [first, second] = &runtimes;
    let work = |own: &Runtime, peer: &Runtime, name: u32| {
        HERE.set(name);
        own.block_on(spawn_batches(peer.handle(), batches, soak));
        soak.crossed.fetch_add(CROSSED.get(), Ordering::Relaxed);
    };
    let samples = thread::scope(|scope| {
        scope.spawn(|| work(first, second, 1));
        scope.spawn(|| work(second, first, 2));
        watch(soak, 2 * batches)
    });
    soak.left_behind.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(samples)
}

fn one_thread() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().build()
}

/// Spawns onto the other worker while this one runs what that one spawns here.
async fn spawn_batches(peer: &Handle, batches: u64, soak: &'static Soak) {
    for _ in 0..batches {
        let handles: Vec<JoinHandle<()>> = (0..BATCH).filter_map(|n| spawn(n, peer, soak)).collect();
        for handle in handles {
            // Some of them were aborted.
            let _ = handle.await;
        }
        soak.batches_done.fetch_add(1, Ordering::Relaxed);
    }
    soak.both_done.wait().await;
}

thread_local! {
    /// Which worker this thread is.
    static HERE: Cell<u32> = const { Cell::new(0) };
    /// Tasks that came here from the other one.
    static CROSSED: Cell<u64> = const { Cell::new(0) };
}

/// One task of the mix, with its handle if somebody keeps that.
fn spawn(n: u64, peer: &Handle, soak: &'static Soak) -> Option<JoinHandle<()>> {
    let spawner = HERE.get();
    let task = async move {
        CROSSED.set(CROSSED.get() + u64::from(HERE.get() != spawner));
        match n % 32 {
            1 => yield_now().await,
            2 => {
                poll_fn(|cx: &mut Context<'_>| {
                    soak.leave_behind(cx.waker());
                    Poll::Ready(())
                })
                .await;
            }
            _ => {}
        }
    };
    let builder = if n % 32 == 3 { Builder::new().name("one with a name") } else { Builder::new() };
    let Ok(handle) = builder.spawn_on(task, peer) else { unreachable!("tokio never refuses") };
    if n % 32 == 4 {
        handle.abort();
    }
    // The last of a batch is awaited, and so are all those before it.
    (n.is_multiple_of(2) || n == BATCH - 1).then_some(handle)
}

/// The memory at one moment.
#[derive(Clone, Copy, Default)]
struct Sample {
    rss_bytes: u64,
    /// What the recorder has mapped.
    diag_bytes: u64,
    /// Records in use.
    slots: u64,
}

impl Sample {
    fn of(snapshot: &Snapshot) -> Self {
        let resources = &snapshot.capture.resources;
        Sample {
            rss_bytes: resources.rss_bytes.unwrap_or(u64::MAX),
            diag_bytes: resources.diag_bytes.unwrap_or(u64::MAX),
            slots: (snapshot.tasks.len() + snapshot.zombies.len()) as u64,
        }
    }

    /// The highest of each.
    fn peak(samples: &[Sample]) -> Self {
        samples.iter().fold(Sample::default(), |peak, sample| Sample {
            rss_bytes: peak.rss_bytes.max(sample.rss_bytes),
            diag_bytes: peak.diag_bytes.max(sample.diag_bytes),
            slots: peak.slots.max(sample.slots),
        })
    }
}

/// Samples at even steps of the work.
fn watch(soak: &Soak, batches: u64) -> Vec<Sample> {
    let (started, step) = (Instant::now(), batches / SAMPLES as u64);
    let mut samples = Vec::with_capacity(SAMPLES);
    while samples.len() < SAMPLES {
        thread::sleep(Duration::from_millis(2));
        let done = soak.batches_done.load(Ordering::Relaxed);
        if done >= step * (samples.len() as u64 + 1) {
            samples.push(Sample::of(&diag::snapshot().into_model()));
            let spawned = human::count(done * BATCH);
            progress::show(&format!("{spawned} tasks in {:.0} s", started.elapsed().as_secs_f64()));
        }
    }
    progress::show("");
    samples
}

/// What came out.
struct Verdict {
    expected: u64,
    spawned: u64,
    ended: u64,
    /// Peaks of the second quarter and of the last.
    before: Sample,
    after: Sample,
    end: Sample,
    dropped: u64,
}

impl Verdict {
    fn of(samples: &[Sample], end: &Snapshot, expected: u64) -> Self {
        let quarter = SAMPLES / 4;
        Verdict {
            expected,
            spawned: end.sites.iter().map(|site| site.spawned).sum(),
            ended: end.sites.iter().map(|site| site.ended()).sum(),
            before: Sample::peak(&samples[quarter..2 * quarter]),
            after: Sample::peak(&samples[3 * quarter..]),
            end: Sample::of(end),
            dropped: end.capture.dropped.values().sum(),
        }
    }

    fn is_flat(&self) -> bool {
        self.after.rss_bytes <= self.before.rss_bytes + SLACK_BYTES
            && self.after.diag_bytes <= self.before.diag_bytes + SLACK_BYTES
    }

    fn is_exact(&self) -> bool {
        (self.spawned, self.ended) == (self.expected, self.expected)
            && (self.end.slots, self.dropped) == (0, 0)
    }

    fn is_good(&self) -> bool {
        self.is_flat() && self.is_exact()
    }

    fn in_words(&self, took: Duration, crossed: u64) -> String {
        let verdict = match (self.is_flat(), self.is_exact()) {
            (true, true) => "flat and exact",
            (true, false) => "NOT EXACT",
            (false, _) => "NOT FLAT",
        };
        format!(
            "{verdict}: {} tasks in {:.1} s, {:.1} % of them polled on another thread than spawned; \
             second quarter to last: RSS {} to {}, recorder's maps {} to {}, records in use {} to {}; \
             at the end {} spawned, {} ended, {} records in use, {} not recorded",
            human::count(self.expected),
            took.as_secs_f64(),
            crossed as f64 * 100.0 / self.expected as f64,
            human::bytes(self.before.rss_bytes),
            human::bytes(self.after.rss_bytes),
            human::bytes(self.before.diag_bytes),
            human::bytes(self.after.diag_bytes),
            human::count(self.before.slots),
            human::count(self.after.slots),
            human::count(self.spawned),
            human::count(self.ended),
            human::count(self.end.slots),
            human::count(self.dropped),
        )
    }
}
