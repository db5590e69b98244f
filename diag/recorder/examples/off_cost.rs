//! What a poll costs while recording is off: `cargo run --release -p diag --example off_cost`.
//!
//! A bare loop polls a future with a waker that does nothing, once as it is and once followed by `diag`
//! under `DIAG=off`, by turns; the figure is the median of the differences.

#![expect(clippy::print_stdout, reason = "prints a figure")]
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

const POLLS: u32 = 1_000_000;
const ROUNDS: usize = 41;
/// The most that a poll may cost more, in nanoseconds.
const BAR_NS: f64 = 2.0;

/// Never ready; its poll is one addition.
struct Counter(u64);

impl Future for Counter {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.0 = black_box(self.0 + 1);
        Poll::Pending
    }
}

fn poll_ns(future: impl Future<Output = ()>) -> f64 {
    let (mut future, mut cx) = (pin!(future), Context::from_waker(Waker::noop()));
    let started = Instant::now();
    for _ in 0..POLLS {
        let _ = black_box(future.as_mut().poll(&mut cx));
    }
    started.elapsed().as_nanos() as f64 / f64::from(POLLS)
}

fn main() -> std::process::ExitCode {
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("DIAG", "off") };
    diag::init();
    let round = || {
        let plain = poll_ns(Counter(0));
        (plain, poll_ns(diag::task::track(Counter(0))) - plain, poll_ns(Counter(0)) - plain)
    };
    let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    let median = |pick: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    let (plain, added, again) = (median(|r| r.0), median(|r| r.1), median(|r| r.2));
    let ok = added <= BAR_NS;
    let verdict = if ok { "ok" } else { "TOO MUCH" };
    println!(
        "off: a poll of {plain:.2} ns takes {added:+.2} ns more (the same again {again:+.2}), bar {BAR_NS}: {verdict}"
    );
    if ok { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
