//! What labels of spans cost: beside the same spans without the layer, in nanoseconds, and in bytes a task.
//!
//! `cargo run --release -p diag-tracing --example span_cost`
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::future::{pending, poll_fn, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tracing::{Dispatch, Instrument, Span, dispatcher, info_span};
use tracing_subscriber::prelude::*;

const ROUNDS: usize = 15;
const TIMES: u32 = 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let without = Dispatch::new(tracing_subscriber::registry());
    let measured = [
        ("a span with a number, made and dropped", span as fn() -> _),
        ("a span with a text, made and dropped", text_span),
        ("a task spawned in a span", spawned),
        ("a poll of a task in a span", polled),
        ("a poll of a task in another span each time", polled_in_others),
    ];
    let mut before = Vec::new();
    for (_, measure) in &measured {
        before.push(runtime.block_on(async { dispatcher::with_default(&without, || best(*measure)) }));
    }
    let layer = diag_tracing::Layer::new().without_made_trace_ids();
    let with = Dispatch::new(tracing_subscriber::registry().with(layer));
    println!("{:<45}{:>10}{:>10}{:>10}", "ns", "without", "with", "added");
    for ((name, measure), before) in measured.iter().zip(before) {
        let after = runtime.block_on(async { dispatcher::with_default(&with, || best(*measure)) });
        println!("{name:<45}{before:>10.1}{after:>10.1}{:>10.1}", after - before);
    }
}

/// The quickest of several rounds, by one.
fn best(measure: fn() -> Duration) -> f64 {
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

fn span() -> Duration {
    timed(|id| drop(black_box(request(id))))
}

fn text_span() -> Duration {
    timed(|_| drop(black_box(info_span!("request", request_id = "request-number-17"))))
}

fn spawned() -> Duration {
    let request = request(7);
    let mut tasks = Vec::with_capacity(TIMES as usize);
    let took = timed(|_| tasks.push(request.in_scope(|| diag::spawn(ready(())))));
    tasks.iter().for_each(diag::task::JoinHandle::abort);
    took
}

fn polled() -> Duration {
    polls(&[request(7)])
}

fn polled_in_others() -> Duration {
    polls(&[request(7), request(8)])
}

/// Polls of one task, each in the next of these.
fn polls(spans: &[Span]) -> Duration {
    let spans = spans.to_vec();
    let run = diag::task::track(poll_fn(move |_| {
        let mut inside = pin!(pending::<()>());
        let mut next = 0;
        let took = timed(|_| {
            next = (next + 1) % spans.len();
            spans[next].in_scope(|| {
                let _ = black_box(inside.as_mut());
            });
        });
        Poll::Ready(took)
    }));
    let mut run = pin!(run.instrument(Span::none()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::future::Future::poll(run.as_mut(), &mut cx) {
        Poll::Ready(took) => took,
        Poll::Pending => Duration::ZERO,
    }
}
