//! The task workloads, generic over how a task is spawned.
//!
//! A peer's global allocator is [`Fixed`], which counting runs alone switch on.
//!
//! No IO or time driver is enabled, so that a figure holds scheduler and peer and no system call.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use crate::clock;
use crate::figures::{self, Figures};
use crate::fixed::Fixed;
use crate::request::{Flavor, TaskRequest, Workload};
use crate::timed::{self, Timed};

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

/// tokio as it is.
#[derive(Debug)]
pub struct Tokio;

impl Peer for Tokio {
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(future)
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
            Fixed::begin();
            run::<P>(&peer.build(builder(Flavor::CurrentThread)), workload, count);
            Figures::new()
        }
        #[cfg(feature = "park")]
        TaskRequest::Park(words) => crate::park::weigh(peer, words),
        #[cfg(not(feature = "park"))]
        TaskRequest::Park(_) => panic!("this peer was built for counting; the feature `park` is off"),
    }
}

pub(crate) fn builder(flavor: Flavor) -> Builder {
    match flavor {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        }
    }
}

fn time<P: Peer>(peer: &P, flavor: Flavor) -> Figures {
    let runtime = &peer.build(builder(flavor));
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

pub(crate) fn on_a_worker(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(work)).expect("the workload neither panics nor is cancelled");
}

pub(crate) async fn joined<P: Peer, F>(future: F)
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
