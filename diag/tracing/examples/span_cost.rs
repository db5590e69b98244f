//! What labels of spans cost: beside the same spans without the layer, in nanoseconds, and in bytes of a task.
//!
//! `cargo run --release -p diag-tracing --example span_cost`
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, pending, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tracing::{Dispatch, Instrument, Span, dispatcher, info_span};
use tracing_subscriber::prelude::*;

const ROUNDS: usize = 15;
const TIMES: u32 = 20_000;

/// The system's allocator, and how much of it is in use.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: all of it is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: Counting = Counting;

type Measure = fn() -> Duration;

/// What is timed.
const MEASURED: [(&str, Measure); 5] = [
    ("a span with a number, made and dropped", numbered),
    ("a span with a text, made and dropped", texted),
    ("a task in a span that its polls know", || polls(&[request(7)])),
    ("a task in another span each time", || polls(&[request(7), request(8)])),
    ("a poll of a task without any span", yields),
];

fn main() {
    let layer = diag_tracing::Layer::new().without_made_trace_ids();
    // The one without comes first: from the layer on, all that is spawned is followed.
    let subscribers: [fn(diag_tracing::Layer) -> Dispatch; 2] = [
        |_| Dispatch::new(tracing_subscriber::registry()),
        |layer| Dispatch::new(tracing_subscriber::registry().with(layer)),
    ];
    // Memory that is used for the first time costs more than what is measured.
    MEASURED.iter().for_each(|(_, measure)| {
        best(*measure);
    });
    let [without, with] = subscribers.map(|subscriber| {
        let _here = dispatcher::set_default(&subscriber(layer.clone()));
        (MEASURED.map(|(_, measure)| best(measure)), runtime().block_on(bytes_of_a_poll()))
    });
    println!("{:<45}{:>10}{:>10}{:>10}", "ns", "without", "with", "added");
    for (((name, _), before), after) in MEASURED.iter().zip(without.0).zip(with.0) {
        println!("{name:<45}{before:>10.1}{after:>10.1}{:>10.1}", after - before);
    }
    println!("{:<45}{:>10.1}{:>10.1}", "bytes of a task that was polled in a span", without.1, with.1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// The quickest of several rounds, by one.
fn best(measure: Measure) -> f64 {
    let rounds = (0..ROUNDS).map(|_| measure());
    rounds.min().map_or(0.0, |time| time.as_nanos() as f64 / f64::from(TIMES))
}

fn timed(mut once: impl FnMut(u32)) -> Duration {
    let begun = Instant::now();
    (0..TIMES).for_each(&mut once);
    begun.elapsed()
}

fn request(id: u32) -> Span {
    info_span!("request", request_id = id)
}

fn numbered() -> Duration {
    timed(|id| drop(black_box(request(id))))
}

fn texted() -> Duration {
    timed(|_| drop(black_box(info_span!("request", request_id = "request-number-17"))))
}

/// The runtime's own part is in both.
fn yields() -> Duration {
    let runtime = runtime();
    let task = async {
        let begun = Instant::now();
        for _ in 0..TIMES {
            tokio::task::yield_now().await;
        }
        begun.elapsed()
    };
    runtime.block_on(async { diag::spawn(task).await }).unwrap_or_default()
}

/// A task that is in the next of these each time.
fn polls(spans: &[Span]) -> Duration {
    let spans = spans.to_vec();
    let mut run = pin!(diag::task::track(poll_fn(move |_| {
        let mut next = 0;
        Poll::Ready(timed(|_| {
            next = (next + 1) % spans.len();
            spans[next].in_scope(|| black_box(next));
        }))
    })));
    match run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(took) => took,
        Poll::Pending => Duration::ZERO,
    }
}

/// What the polls of tasks allocate, each in a span.
async fn bytes_of_a_poll() -> f64 {
    let request = request(7);
    let tasks: Vec<_> =
        (0..TIMES).map(|_| diag::spawn(pending::<()>().instrument(request.clone()))).collect();
    let before = BYTES.load(Ordering::Relaxed);
    for _ in 0..TIMES {
        tokio::task::yield_now().await;
    }
    let allocated = BYTES.load(Ordering::Relaxed) - before;
    tasks.iter().for_each(diag::task::JoinHandle::abort);
    allocated as f64 / f64::from(TIMES)
}
