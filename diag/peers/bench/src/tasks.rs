//! The task workloads, generic over how a task is spawned.
//!
//! No IO or time driver is enabled, so that a figure holds scheduler and peer and no system call.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinError;

use crate::clock;
use crate::figures::{self, Figures};
use crate::request::{Flavor, PARK_SIZES, TaskRequest, Workload};
use crate::timed::{self, Timed};

/// Tasks parked at once to weigh one.
const PARKED: usize = 60_000;

/// A way to run tasks: what a user of the peer would write.
pub trait Peer: 'static {
    /// What `spawn` returns.
    type Handle<T: Send + 'static>: Future<Output = Result<T, JoinError>> + Send;

    /// Spawns on the current runtime.
    fn spawn<F>(future: F) -> Self::Handle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Builds a runtime that the peer watches.
    fn build(&self, mut builder: Builder) -> Runtime {
        builder.build().expect("a runtime without drivers builds")
    }
}

/// The whole of a task peer's `main`: does what the arguments ask for.
pub fn main<P: Peer>(peer: &P) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(request) = TaskRequest::from_args(&args) else {
        eprintln!("expected a request of the driver: time RUNTIME, count WORKLOAD N, or park WORDS");
        return ExitCode::from(2);
    };
    print!("{}", figures::to_text(&answer(peer, request)));
    ExitCode::SUCCESS
}

fn answer<P: Peer>(peer: &P, request: TaskRequest) -> Figures {
    match request {
        TaskRequest::Time(flavor) => time(peer, flavor),
        TaskRequest::Count(workload, count) => {
            run::<P>(&runtime(peer, Flavor::CurrentThread), workload, count);
            Figures::new()
        }
        TaskRequest::Park(words) => Figures::from([("bytes".to_owned(), parked_bytes(peer, words))]),
    }
}

fn runtime<P: Peer>(peer: &P, flavor: Flavor) -> Runtime {
    peer.build(match flavor {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        }
    })
}

fn time<P: Peer>(peer: &P, flavor: Flavor) -> Figures {
    let runtime = &runtime(peer, flavor);
    let cpu_ns = match flavor {
        Flavor::CurrentThread => clock::thread_cpu_ns,
        Flavor::MultiThread => clock::process_cpu_ns,
    };
    let timed = |&workload: &Workload| {
        Timed::new(workload.name().to_owned(), cpu_ns, move |count| run::<P>(runtime, workload, count))
    };
    timed::run_by_turns(Workload::ALL.iter().map(timed).collect())
}

/// Runs `count` operations from within a task, as services do.
///
/// The root of `block_on` is no task: each return to it reads clocks and may go through the kernel,
/// which belongs to no spawn. The task that it awaits instead is tokio's own under every peer.
fn run<P: Peer>(runtime: &Runtime, workload: Workload, count: u64) {
    on_a_worker(runtime, async move {
        match workload {
            Workload::Spawn => spawn_and_join::<P>(count).await,
            Workload::Poll => joined::<P, _>(SelfWake { left: count }).await,
            Workload::RoundTrip => round_trips::<P>(count).await,
        }
    });
}

fn on_a_worker(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(work)).expect("the workload neither panics nor is cancelled");
}

async fn joined<P: Peer, F>(future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    P::spawn(future).await.expect("the workload neither panics nor is cancelled");
}

async fn spawn_and_join<P: Peer>(count: u64) {
    for _ in 0..count {
        joined::<P, _>(async {}).await;
    }
}

async fn round_trips<P: Peer>(count: u64) {
    let (ask, mut asked) = mpsc::channel(1);
    let (reply, mut replied) = mpsc::channel(1);
    let answering = P::spawn(async move {
        while let Some(number) = asked.recv().await {
            if reply.send(number).await.is_err() {
                return;
            }
        }
    });
    joined::<P, _>(async move {
        for number in 0..count {
            ask.send(number).await.expect("the other task listens");
            assert_eq!(replied.recv().await, Some(number));
        }
    })
    .await;
    answering.await.expect("the answering task ends when nobody asks");
}

/// Wakes itself and yields so many times.
struct SelfWake {
    left: u64,
}

impl Future for SelfWake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.left == 0 {
            return Poll::Ready(());
        }
        self.left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Never ready; holds so many words.
struct Parked<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Future for Parked<WORDS> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u64> {
        match std::hint::black_box(self.0.first()) {
            Some(&word) if word != 0 => Poll::Ready(word),
            _ => Poll::Pending,
        }
    }
}

macro_rules! park_each {
    ($($words:literal)+) => { [$(park::<P, $words>),+] };
}

/// Resident bytes of one parked task whose future has so many words of state.
fn parked_bytes<P: Peer>(peer: &P, words: usize) -> f64 {
    let park: [fn(); PARK_SIZES] = park_each!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    );
    let runtime = runtime(peer, Flavor::CurrentThread);
    // A first task pays for whatever the peer makes once.
    on_a_worker(&runtime, joined::<P, _>(async {}));
    let before = resident_bytes();
    on_a_worker(&runtime, async move {
        (0..PARKED).for_each(|_| park[words]());
        // The queue is first in, first out: when this one has run, all have been polled.
        joined::<P, _>(async {}).await;
    });
    (resident_bytes() - before) / PARKED as f64
}

fn park<P: Peer, const WORDS: usize>() {
    drop(P::spawn(Parked([0; WORDS])));
}

/// Exact, unlike `statm`, whose counters the kernel adds up only now and then.
fn resident_bytes() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc is mounted");
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("smaps_rollup has an Rss line") * 1024.0
}
