//! What sweeps do to a service that they run beside: nothing is torn, lost or later, and what rests is told right in each.
//!
//! Tasks lock, send, join and end as fast as they can; others rest in a queue that is known. Sweeps come back to back, in
//! turns with as long a time without any, in which the same task ticks.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use diag_analysis::human;
use diag_examples::{args, progress};
use diag_snapshot::{NodeKind, Snapshot, WaitFor};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{MissedTickBehavior, interval};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Sweeps back to back beside tasks that come and go.
#[derive(Parser)]
#[command(after_help = "Exit code 0: inside the bars, and all that rests was told right. 1: not so.")]
struct Args {
    /// Seconds of sweeps, and as many without.
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    /// MiB that are allocated besides, in blocks of 4 KiB.
    #[arg(long, default_value_t = 64)]
    mib: u64,
}

const TICK: Duration = Duration::from_millis(1);
/// The ticker's p99 may grow by so much, or so much.
const LATER_FACTOR: f64 = 1.25;
const LATER_BY: Duration = Duration::from_millis(1);
/// A GiB that is looked at may take so long.
const A_GIB: Duration = Duration::from_secs(1);
/// Who rest in the queue.
const WAITING: usize = 3;

fn main() -> anyhow::Result<ExitCode> {
    let Args { seconds, mib } = Args::parse();
    let _diag = diag::Builder::new().service("sweeps").agent(false).start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let kept: Vec<Box<[u64; 512]>> = (0..mib * 256).map(|i| Box::new([i; 512])).collect();
    runtime.block_on(rest());
    let done = Arc::new(AtomicU64::new(0));
    (0..8).for_each(|_| drop(runtime.spawn(churn(Arc::clone(&done)))));
    let without = beside(&runtime, seconds, || {
        thread::sleep(TICK);
        Ok(())
    })?;
    let (mut sweeps, mut wrong, mut spent, mut bytes) = (0, 0, Duration::ZERO, 0);
    let with = beside(&runtime, seconds, || {
        progress::show(&format!("sweep {}", sweeps + 1));
        let snapshot = diag::snapshot_with_holders().into_model();
        let sweep = snapshot.capture.sweep.clone().context("it was asked for")?;
        ensure!(sweep.why.is_none(), "it was not done: {:?}", sweep.why);
        sweeps += 1;
        wrong += u64::from(!is_right(&snapshot));
        spent += Duration::from_micros(sweep.took_us);
        bytes += snapshot.capture.resources.rss_bytes.unwrap_or(sweep.looked_at_bytes);
        Ok(())
    })?;
    progress::show("");
    let is_later = with > without.mul_f64(LATER_FACTOR).max(without + LATER_BY);
    let a_gib = spent.mul_f64((1_u64 << 30) as f64 / bytes.max(1) as f64);
    let good = wrong == 0 && !is_later && a_gib <= A_GIB && done.load(Ordering::Relaxed) > 0;
    writeln!(
        io::stdout(),
        "{}: {sweeps} sweeps beside {} rounds of work, {wrong} told wrong; {} a GiB that is resident; p99 of a tick {} with \
         sweeps, {} without",
        if good { "unharmed" } else { "HARMED" },
        human::count(done.load(Ordering::Relaxed)),
        human::duration(a_gib.as_nanos() as u64),
        human::duration(with.as_nanos() as u64),
        human::duration(without.as_nanos() as u64),
    )?;
    drop(kept);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A task that has a lock for ever, and others that wait for it, one after the other.
async fn rest() {
    let lock = Arc::new(Mutex::new(()));
    let named = |name: &'static str| diag::task::Builder::new().name(name);
    let (has_it, had) = mpsc::channel::<()>(1);
    let holds = {
        let lock = lock.clone();
        async move {
            let _guard = lock.lock().await;
            drop(has_it);
            std::future::pending::<()>().await;
        }
    };
    drop(named("holder").spawn(holds));
    let mut had = had;
    had.recv().await;
    for _ in 0..WAITING {
        let lock = lock.clone();
        drop(named("waiting").spawn(async move { drop(lock.lock().await) }));
    }
}

/// Work without end: locks, channels, tasks that come and go, blocks of all sizes.
async fn churn(done: Arc<AtomicU64>) {
    loop {
        let (sum, (sender, mut receiver)) = (Arc::new(Mutex::new(0_u64)), mpsc::channel::<Vec<u64>>(2));
        let add = |sum: Arc<Mutex<u64>>, sender: mpsc::Sender<Vec<u64>>| async move {
            *sum.lock().await += 1;
            tokio::task::yield_now().await;
            drop(sender.send(vec![1; 300]).await);
        };
        let tasks: Vec<_> = (0..16).map(|_| diag::spawn(add(sum.clone(), sender.clone()))).collect();
        drop(sender);
        let mut received = 0;
        while let Some(items) = receiver.recv().await {
            received += items.iter().sum::<u64>();
        }
        for task in tasks {
            task.await.expect("it ends");
        }
        assert_eq!((received, *sum.lock().await), (16 * 300, 16), "nothing is lost");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does this for so long, and gives the p99 of how late a task ticks meanwhile.
fn beside(
    runtime: &tokio::runtime::Runtime,
    seconds: Duration,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let until = Instant::now() + seconds;
    let ticks = runtime.spawn(async move {
        let (mut late, mut interval) = (Vec::new(), interval(TICK));
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while Instant::now() < until {
            let due = interval.tick().await;
            late.push(due.elapsed());
        }
        late
    });
    while Instant::now() < until {
        work()?;
    }
    let mut late = runtime.block_on(ticks)?;
    late.sort_unstable();
    late.get(late.len() * 99 / 100).copied().context("it has ticked")
}

/// Whether the queue is told in its order, with its holder, and nothing that is none.
fn is_right(snapshot: &Snapshot) -> bool {
    let name = |task: &diag_snapshot::TaskRow| task.name.map(|name| snapshot.strings.show(name));
    let named = |wanted: &str| {
        let tasks = snapshot.tasks.iter().filter(|task| name(task) == Some(wanted)).map(|task| task.id);
        tasks.collect::<Vec<_>>()
    };
    let (waiting, holder) = (named("waiting"), named("holder"));
    let mut waits: Vec<_> = snapshot.waits.iter().filter(|wait| waiting.contains(&wait.task)).collect();
    waits.sort_by_key(|wait| wait.place);
    let places: Vec<_> = waits.iter().map(|wait| wait.place).collect();
    let Some(first) = waits.first() else { return false };
    let is_one = waits
        .iter()
        .all(|wait| wait.node() == first.node() && wait.wait_for == WaitFor::Permits && wait.held);
    let points = snapshot.points.iter().filter(|row| row.held && row.to() == first.node());
    let mut holders = points
        .filter(|row| row.from_kind == NodeKind::Task && Some(row.from_id) == holder.first().map(|id| id.0));
    let of_holder = snapshot.waits.iter().filter(|wait| holder.contains(&wait.task)).count();
    places == (0..WAITING as u32).map(Some).collect::<Vec<_>>()
        && is_one
        && holders.next().is_some()
        && of_holder == 0
}
