//! What looking costs: how long it takes to ask ten thousand parked tasks where they are, which only a person does,
//! and what a ticking task feels of captures back to back, which ask nobody.
//!
//! The two need different settings, which a process has once; so the program runs itself again for the first.
//! Build it with `RUSTFLAGS="-C force-frame-pointers=yes"` for the other way to take stacks.

use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use diag_analysis::human;
use diag_examples::{agent, args, progress};
use diag_snapshot::{Snapshot, TaskState};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// With it the snapshots say how stacks are taken.
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Asks many parked tasks where they are, and measures what captures do to the others.
#[derive(Parser)]
#[command(after_help = "Exit code 0: inside the bars. 1: over one of them.")]
struct Args {
    /// Tasks to park.
    #[arg(long, default_value_t = 10_000)]
    tasks: u64,
    /// Seconds of captures back to back, and as many without.
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    /// Only ask all tasks where they are parked.
    #[arg(long)]
    ask: bool,
}

/// Bars for 10,000 tasks.
const ASK_WITH_FRAME_POINTERS: Duration = Duration::from_millis(15);
const ASK_WITHOUT: Duration = Duration::from_millis(60);
/// The ticker's p99 may grow by so much, or so much.
const LATER_FACTOR: f64 = 1.25;
const LATER_BY: Duration = Duration::from_millis(1);

/// Times that all tasks are asked; and if the machine is too busy for them to answer in time, at the most.
const ASKED: usize = 15;
const MAX_ASKED: usize = 200;
const TICK: Duration = Duration::from_millis(1);
/// No capture takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let good = if args.ask {
        ask_all(args.tasks)?
    } else {
        let program = std::env::current_exe().context("cannot find this program to run it again")?;
        let asked = Command::new(program).args(["--ask", "--tasks", &args.tasks.to_string()]).status()?;
        capture_beside(args.tasks, args.seconds)? && asked.success()
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks all tasks, several times. True if the best time is below the bar: on a busy machine the others measure
/// the machine.
fn ask_all(tasks: u64) -> anyhow::Result<bool> {
    let _diag = diag::Builder::new().service("looks").agent(false).start();
    let runtime = tokio::runtime::Runtime::new()?;
    park(tasks, &runtime);
    let mut spent = Vec::new();
    let mut last = diag::snapshot_asking().into_model();
    for n in 0..MAX_ASKED {
        progress::show(&format!("asking {tasks} tasks, {} of {ASKED} times", spent.len() + 1));
        let snapshot = diag::snapshot_asking().into_model();
        let parked = snapshot.capture.parked.as_ref().context("the snapshot asked no task")?;
        if parked.answered == tasks {
            spent.push(Duration::from_micros(parked.spent_us));
            last = snapshot;
        }
        if spent.len() == ASKED {
            break;
        }
        ensure!(n + 1 < MAX_ASKED, "the machine is too busy for {tasks} tasks to answer in time");
    }
    progress::show("");
    spent.sort_unstable();
    let unwinder = last.heap.as_ref().map_or("unknown", |heap| &heap.facts.unwinder);
    let bar = if unwinder == "frame-pointers" { ASK_WITH_FRAME_POINTERS } else { ASK_WITHOUT };
    let bar = bar.mul_f64(tasks as f64 / 10_000.0);
    let good = spent[0] <= bar;
    writeln!(
        io::stdout(),
        "{}: {} tasks asked where they are parked in {} at best, {} in the median of {ASKED}, by {unwinder}; \
         {} stacks; bar {}",
        if good { "fast" } else { "SLOW" },
        human::count(tasks),
        duration(spent[0]),
        duration(median(spent)),
        human::count(last.parked.len() as u64),
        duration(bar),
    )?;
    Ok(good)
}

/// Captures of the agent back to back beside a task that ticks, in turns with none. True if the ticks are
/// hardly later.
fn capture_beside(tasks: u64, span: Duration) -> anyhow::Result<bool> {
    const TURNS: u32 = 10;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let diag = diag::Builder::new().service("looks").addr(any_port).start();
    let addr = diag.agent_addr().context("there is no agent to ask; DIAG_ADDR is off")?;
    let runtime = tokio::runtime::Runtime::new()?;
    park(tasks, &runtime);
    let (mut without, mut with, mut captures) = (Vec::new(), Vec::new(), 0);
    for turn in 0..TURNS {
        progress::show(&format!("turn {} of {TURNS}", turn + 1));
        without.push(p99(runtime.block_on(runtime.spawn(tick(span / TURNS)))?));
        let ticks = runtime.spawn(tick(span / TURNS));
        while !ticks.is_finished() {
            agent::snapshot_file(addr, PATIENCE)?;
            captures += 1;
        }
        with.push(p99(runtime.block_on(ticks)?));
    }
    progress::show("");
    let (without, with) = (median(without), median(with));
    ensure!(!without.is_zero(), "there were no ticks; give more --seconds");
    let factor = with.as_secs_f64() / without.as_secs_f64();
    let good = factor <= LATER_FACTOR || with <= without + LATER_BY;
    writeln!(
        io::stdout(),
        "{}: the p99 lateness of a task that ticks each {} is {}, and {} beside {captures} captures of {} tasks \
         back to back (medians of {TURNS} turns): {factor:.2} times, {} more; bars {LATER_FACTOR} times or {} more",
        if good { "quiet" } else { "LOUD" },
        duration(TICK),
        duration(without),
        duration(with),
        human::count(tasks),
        duration(with.saturating_sub(without)),
        duration(LATER_BY),
    )?;
    Ok(good)
}

/// How late each tick was.
async fn tick(span: Duration) -> Vec<Duration> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (started, mut late) = (Instant::now(), Vec::new());
    while started.elapsed() < span {
        let due = ticks.tick().await;
        late.push(due.elapsed());
    }
    late
}

fn p99(late: Vec<Duration>) -> Duration {
    quantile(late, 99)
}

fn median(spans: Vec<Duration>) -> Duration {
    quantile(spans, 50)
}

fn quantile(mut spans: Vec<Duration>, percent: usize) -> Duration {
    spans.sort_unstable();
    spans.get(spans.len() * percent / 100).copied().unwrap_or_default()
}

/// Parks the tasks on leaves of several kinds, and waits until all of them rest.
fn park(tasks: u64, runtime: &tokio::runtime::Runtime) {
    let _inside = runtime.enter();
    for n in 0..tasks {
        diag::spawn(leaf(n));
    }
    let idle =
        |snapshot: &Snapshot| snapshot.tasks.iter().filter(|task| task.state == TaskState::Idle).count();
    while idle(&diag::snapshot().into_model()) < tasks as usize {
        thread::sleep(Duration::from_millis(10));
    }
}

fn leaf(n: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    const LONG: Duration = Duration::from_secs(3_600);
    match n % 8 {
        0 => Box::pin(sleep(LONG)),
        1 => Box::pin(async { Notify::new().notified().await }),
        2 => Box::pin(async { drop(Semaphore::new(0).acquire().await) }),
        3 => Box::pin(async {
            let (_sender, mut receiver) = mpsc::channel::<()>(1);
            receiver.recv().await;
        }),
        4 => Box::pin(async {
            let (_sender, receiver) = oneshot::channel::<()>();
            let _ = receiver.await;
        }),
        5 => Box::pin(async {
            let (_sender, mut receiver) = watch::channel(());
            let _ = receiver.changed().await;
        }),
        6 => Box::pin(async {
            let (_sender, mut receiver) = broadcast::channel::<()>(1);
            let _ = timeout(LONG, receiver.recv()).await;
        }),
        _ => Box::pin(async {
            tokio::select! {
                () = sleep(LONG) => {}
                () = std::future::pending() => {}
            }
        }),
    }
}

fn duration(span: Duration) -> String {
    human::duration(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}
