//! Two clocks on one time base: a coarse one for stamps, a precise one for the sampled few.
//!
//! The coarse clock (`CLOCK_MONOTONIC_COARSE`, 1 to 4 ms) costs 5 to 9 ns and is exact enough for
//! every age and every verdict; the precise one costs 15 to 50 ns, so a poll reads it only when it
//! is sampled. Both count nanoseconds since the same unspecified start, so stamps can be compared.
//!
//! A poll, its wakes and its end want three stamps, which mostly are the same. While a service
//! polls so often that this matters, a thread of ours advances a tick every few milliseconds
//! (`ticker.rs`), and a thread reads the clock once in a tick. Late ticks make stamps as much older.

use std::cell::Cell;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::fork::{self, Lock, TICK};
pub(crate) use crate::sys::{coarse_ns, precise_ns};
use crate::{core_layout, sys};

/// No tick: what was read without one is not remembered.
const NO_TICK: u64 = u64::MAX;

thread_local! {
    /// What this thread read last, and in which tick.
    static LAST: Cell<(u64, u64)> = const { Cell::new((0, NO_TICK)) };
}

/// This tick begins, or with `None` nobody ticks any more. A number must not come twice.
pub(crate) fn set_tick(tick: Option<NonZeroU64>) {
    // In a child nobody ticks: it has to get to know that it is one.
    fork::process();
    TICK.store(tick.map_or(0, NonZeroU64::get), Ordering::Relaxed);
}

/// The coarse clock as it was read first in this tick on this thread; as it is now while nobody ticks.
#[inline(always)]
pub(crate) fn stamp_ns() -> u64 {
    let (now_ns, tick) = LAST.get();
    if tick == TICK.load(Ordering::Relaxed) { now_ns } else { read_stamp() }
}

#[cold]
#[inline(never)]
fn read_stamp() -> u64 {
    let tick = TICK.load(Ordering::Relaxed);
    let now_ns = coarse_ns();
    LAST.set((now_ns, if tick == 0 { NO_TICK } else { tick }));
    now_ns
}

/// Two ticks of the coarse clock: what it says to be longer surely was longer than one.
#[inline]
pub(crate) fn two_ticks_ns() -> u64 {
    TWO_TICKS_NS.load(Ordering::Relaxed)
}

/// Until known: that of the slowest kernel tick in use, 100 Hz.
static TWO_TICKS_NS: AtomicU64 = AtomicU64::new(20_000_000);

/// Asks the kernel for the step of the coarse clock. Called from cold paths, as often as they like.
pub(crate) fn learn_ticks() {
    if let Some(step_ns) = sys::coarse_step_ns() {
        TWO_TICKS_NS.store(2 * step_ns, Ordering::Relaxed);
    }
}

/// Sleeps for so long. Std's way panics where the system refuses the call; this one needs none that a mutex does not,
/// and allocates nothing.
pub(crate) fn sleep(time: Duration) {
    let (nobody, never) = (Mutex::new(()), Condvar::new());
    let mut turn = nobody.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    while let Some(left) = time.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        turn = never.wait_timeout(turn, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// The start of the process on the monotonic clock and on the wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    /// [`precise_ns`] at process start.
    pub(crate) start_ns: u64,
    /// Wall clock at process start, microseconds since the Unix epoch.
    pub(crate) start_unix_us: u64,
}

impl Anchor {
    /// A stamp of either clock as microseconds since process start; 0 for one before it.
    pub(crate) fn us(&self, stamp_ns: u64) -> u64 {
        stamp_ns.saturating_sub(self.start_ns) / 1_000
    }
}

/// The anchor of this process, read once.
pub(crate) fn anchor() -> Anchor {
    static ANCHOR: Lock<Option<(NonZeroU32, Anchor)>> = Lock::new(None);
    let mut anchor = ANCHOR.lock();
    let process = fork::process();
    match *anchor {
        Some((of, anchor)) if of == process => anchor,
        _ => {
            let read = Anchor::read();
            core_layout::tell_anchor(&read);
            anchor.insert((process, read)).1
        }
    }
}

impl Anchor {
    fn read() -> Self {
        // Where the system does not say when it began, the process begins for us here.
        let uptime_ns = sys::uptime_ns().unwrap_or_default();
        // The coarse clock is behind by up to a step: without it, the first stamps would be before the start.
        let ago_ns = uptime_ns.saturating_add(sys::coarse_step_ns().unwrap_or_default());
        let unix_us =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        Anchor {
            start_ns: precise_ns().saturating_sub(ago_ns),
            start_unix_us: unix_us.saturating_sub(ago_ns / 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_child_goes_on_though_nobody_ticks_there() {
        set_tick(NonZeroU64::new(7));
        let before = stamp_ns();
        let (held, moves) = (stamp_ns() == before, || {
            std::thread::sleep(Duration::from_millis(40));
            stamp_ns() > before
        });
        let child = sys::forked(moves);
        assert!(!moves(), "the parent reads it once a tick");
        set_tick(None);
        assert!(held && child == Some(true) && moves());
    }
}
