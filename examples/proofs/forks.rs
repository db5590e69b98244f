//! The proof that a forked child is a service like any other, whatever its parent was doing.
//!
//! The parent spawns and ends tasks, allocates with its heap sampled, is captured all the time, and asked by its agent,
//! all on threads that no child has. Each child does what services do: spawns, allocates, captures, starts anew, is
//! asked. It tells each step before it takes it, so that one that waits for a thread which is gone, or dies, is named
//! by what it was doing.

use std::fmt;
use std::hint::black_box;
use std::io::{self, PipeWriter, Read as _, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;
use std::ptr;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use diag_examples::forked::{End, fork};
use diag_examples::{agent, args, progress};
use diag_snapshot::Snapshot;
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Forks children of a busy service, each of which goes on as a service of its own.
#[derive(Parser)]
#[command(after_help = "Exit code 0: each child did all it had to. 1: otherwise, with what it was doing.")]
struct Args {
    /// How many children.
    #[arg(long, default_value_t = 4_000)]
    cases: u32,
    /// A child that takes longer hangs.
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    patience: Duration,
    /// The control: children also take a lock that a thread of their parent's never gives back.
    #[arg(long)]
    control: bool,
}

/// Whoever sees so many children fail has seen enough.
const MOST_FAILED: usize = 10;
/// So small that each step of a child's is sampled, and so large that the parent has time for other things.
const HEAP_RATE_BYTES: u64 = 4 << 10;
/// A block of the child's, which is sampled for certain.
const BLOCK_BYTES: usize = 1 << 20;
/// Tasks of the parent's that are never done.
const PARENTS_TASKS: usize = 8;
/// The answer to a child, whose parent takes all the time there is.
const ANSWER: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let parent = Parent::start()?;
    let started = Instant::now();
    let (mut children, mut failures) = (0, Vec::new());
    while children < args.cases && failures.len() < MOST_FAILED {
        failures.extend(failure_of(children, &args)?);
        children += 1;
        progress::show(&format!("{children} of {} children, {} failed", args.cases, failures.len()));
    }
    progress::show("");
    let (captures, answers) = parent.is_busy()?;
    let mut out = io::stdout().lock();
    failures.iter().try_for_each(|failure| writeln!(out, "{failure}"))?;
    let hung = failures.iter().filter(|failure| failure.end == End::Hung).count();
    let verdict = if failures.is_empty() { "sound" } else { "NOT SOUND" };
    writeln!(
        out,
        "{verdict}: {children} children in {:.0} s, of a parent with {captures} captures and {answers} answers of \
         its agent's meanwhile: {hung} hung, {} died",
        started.elapsed().as_secs_f64(),
        failures.len() - hung
    )?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A service that does everything at once.
struct Parent {
    captures: diag::Gauge,
    answers: diag::Gauge,
    /// Drives its tasks.
    _runtime: Runtime,
}

impl Parent {
    fn start() -> anyhow::Result<Self> {
        let addr = init()?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let inside = runtime.enter();
        for _ in 0..PARENTS_TASKS {
            diag::spawn(async {
                loop {
                    diag::spawn(sleep_with_memory()).await.expect("it sleeps only");
                }
            });
        }
        drop(inside);
        let (captures, answers) = (diag::gauge("captures"), diag::gauge("answers"));
        thread::spawn(move || {
            loop {
                black_box(diag::snapshot().into_model());
                captures.add(1);
            }
        });
        // A crowd is refused now and then, which is no harm.
        thread::spawn(move || {
            loop {
                answers.add(i64::from(ask(addr).is_ok()));
            }
        });
        thread::spawn(|| {
            loop {
                let blocks: Vec<_> = (0..64).map(|i| vec![1_u8; 100 * i]).collect();
                drop(black_box(blocks));
                diag::gauge("churn").add(1);
                live_on_a_thread();
            }
        });
        Ok(Parent { captures, answers, _runtime: runtime })
    }

    /// How often it was captured and asked; an error if all its work is not at work any more.
    fn is_busy(&self) -> anyhow::Result<(i64, i64)> {
        let parts = [self.captures, self.answers, diag::gauge("churn")];
        for part in parts {
            let (before, until) = (part.get(), Instant::now() + ANSWER);
            while part.get() == before {
                ensure!(Instant::now() < until, "the parent is not busy any more");
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok((self.captures.get(), self.answers.get()))
    }
}

/// Allocates on a thread of its own, which is none of std's: std takes a lock when a thread starts that a fork may leave
/// held, and a child then waits for ever with its own first thread.
fn live_on_a_thread() {
    extern "C" fn allocate(_: *mut libc::c_void) -> *mut libc::c_void {
        drop(black_box(vec![1_u8; 30_000]));
        ptr::null_mut()
    }
    let mut thread = MaybeUninit::uninit();
    // SAFETY: a place for the handle, and a function that takes and gives nothing.
    let started =
        unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), allocate, ptr::null_mut()) };
    assert_eq!(started, 0, "a thread can be had");
    // SAFETY: it was started just now, and is joined once.
    unsafe { libc::pthread_join(thread.assume_init(), ptr::null_mut()) };
}

async fn sleep_with_memory() {
    let bytes = black_box(vec![1_u8; 3_000]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(black_box(bytes));
}

/// Starts diag, in the parent and in each child.
fn init() -> anyhow::Result<SocketAddr> {
    let builder = diag::Builder::new().service("forks").heap_rate(HEAP_RATE_BYTES);
    let guard = builder.addr(([127, 0, 0, 1], 0)).start();
    guard.agent_addr().context("the agent listens")
}

/// What the agent there says.
fn ask(addr: SocketAddr) -> anyhow::Result<Snapshot> {
    Ok(diag_snapshot::read(&agent::snapshot_file(addr, ANSWER)?)?.0)
}

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    Begins,
    TakesLock,
    Spawns,
    Allocates,
    Captures,
    StartsAnew,
    IsAsked,
    Ends,
}

impl Step {
    const ALL: [Step; 8] = [
        Step::Begins,
        Step::TakesLock,
        Step::Spawns,
        Step::Allocates,
        Step::Captures,
        Step::StartsAnew,
        Step::IsAsked,
        Step::Ends,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Begins => "in the fork itself",
            Step::TakesLock => "taking a lock of its parent's",
            Step::Spawns => "spawning tasks",
            Step::Allocates => "allocating",
            Step::Captures => "capturing",
            Step::StartsAnew => "starting anew",
            Step::IsAsked => "answering by its agent",
            Step::Ends => "ending",
        })
    }
}

/// A child that did not do all it had to.
struct Failure {
    child: u32,
    end: End,
    /// Its last.
    step: Step,
    /// What it wrote to its standard error.
    words: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { child, end, step, words } = self;
        match end {
            End::Well => write!(f, "child {child} ended, and its last step was {step}"),
            End::Died(status) => write!(f, "child {child} died {step}: {status}"),
            End::Hung => write!(f, "child {child} hung {step}"),
        }?;
        words.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Forks a child, and waits for its end.
fn failure_of(child: u32, args: &Args) -> anyhow::Result<Option<Failure>> {
    let (mut told, teller) = io::pipe()?;
    let (mut said, stderr) = io::pipe()?;
    let held = args.control.then(hold_a_lock);
    // By `fork` both have the ends that are written to, and the parent's are gone with the closure.
    let forked = fork(move || {
        // SAFETY: it is open, and in the child no other thread writes to what it replaces.
        unsafe { libc::dup2(stderr.as_raw_fd(), libc::STDERR_FILENO) };
        Child { teller }.live(child, held);
    })?;
    let end = forked.end(args.patience)?;
    let (mut steps, mut words) = (Vec::new(), Vec::new());
    told.read_to_end(&mut steps)?;
    said.read_to_end(&mut words)?;
    let step = steps.last().map_or(Step::Begins, |&step| Step::ALL[usize::from(step)]);
    let is_well = end == End::Well && step == Step::Ends;
    let words = String::from_utf8_lossy(&words).into_owned();
    Ok((!is_well).then_some(Failure { child, end, step, words }))
}

/// A lock that another thread has when this returns, and for ever.
fn hold_a_lock() -> &'static Mutex<()> {
    let lock: &Mutex<()> = Box::leak(Box::default());
    let (tell, held) = mpsc::channel();
    thread::spawn(move || {
        let _guard = lock.lock();
        let _ = tell.send(());
        loop {
            thread::park();
        }
    });
    held.recv().expect("the thread takes it first of all");
    lock
}

/// Runs in the child, and tells the parent.
struct Child {
    teller: PipeWriter,
}

impl Child {
    fn live(mut self, number: u32, held: Option<&Mutex<()>>) {
        if let Some(lock) = held {
            self.begins(Step::TakesLock);
            drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
        }
        // Some start anew before they do anything else, the others use what their parent started.
        let early = number.is_multiple_of(2).then(|| self.starts_anew());
        self.begins(Step::Spawns);
        // Of one thread, which waits in the driver: the parent's parked threads are in the child's table of parking_lot, which
        // must not be asked (`diag/recorder/tests/forks.rs`).
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            spawn_at_a_new_site::<1>();
            spawn_at_a_new_site::<2>();
            spawn_at_a_new_site::<3>();
            diag::spawn(tokio::time::sleep(Duration::from_micros(100))).await.expect("it sleeps only");
        });
        self.begins(Step::Allocates);
        let block = black_box(vec![1_u8; BLOCK_BYTES]);
        diag::gauge("of the child").set(1);
        self.begins(Step::Captures);
        look_at(&diag::snapshot().into_model());
        let addr = early.unwrap_or_else(|| self.starts_anew());
        self.begins(Step::IsAsked);
        look_at(&ask(addr).expect("its agent answers"));
        drop(black_box(block));
        drop(runtime);
        self.begins(Step::Ends);
    }

    fn starts_anew(&mut self) -> SocketAddr {
        self.begins(Step::StartsAnew);
        init().expect("it starts again")
    }

    fn begins(&mut self, step: Step) {
        self.teller.write_all(&[step as u8]).expect("the parent reads");
    }
}

/// Spawns at a place that no other number has.
fn spawn_at_a_new_site<const N: usize>() {
    drop(diag::spawn(async {
        let bytes = black_box([0_u8; N]);
        std::future::pending::<()>().await;
        black_box(bytes);
    }));
}

/// What a child finds in a capture of itself.
fn look_at(snapshot: &Snapshot) {
    assert_eq!((snapshot.process.pid, &*snapshot.process.service), (std::process::id(), "forks"));
    let mut sites: Vec<_> = snapshot.tasks.iter().map(|task| task.site).collect();
    sites.sort_unstable();
    sites.dedup();
    assert_eq!((snapshot.tasks.len(), sites.len()), (3, 3), "its own tasks, and none of its parent's");
    assert!(snapshot.capture.dropped["tasks_of_parent_process"] >= PARENTS_TASKS as u64);
    let heap = snapshot.heap.as_ref().expect("its heap is sampled");
    let is_block = |size: u64| size == BLOCK_BYTES as u64;
    assert!(heap.samples.iter().any(|sample| is_block(sample.size_bytes)), "its block is in the heap");
}
