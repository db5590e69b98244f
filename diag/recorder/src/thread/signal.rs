//! The call stack of another thread, by one real-time signal sent to that thread alone.
//!
//! The handler copies registers and stack into a static place and ends; the walk is done here, by the
//! thread that asked. It is installed on the first request, if the signal is free, and stays: a signal
//! that arrives late must find it. One request at a time, by this word, which names the thread asked and the
//! process that it belongs to, as a child inherits what was asked in its parent:
//!
//! | phase | next | by | ordering |
//! |---|---|---|---|
//! | idle | asked | us | Release |
//! | asked | writing | the handler, if it runs on the thread asked | Acquire |
//! | writing | done | the handler | Release, pairs with our load of it |
//! | done | idle | us, after the walk | Relaxed |
//! | asked | idle | us, when time is up: the signal then finds nothing to do | Relaxed |
//!
//! Not done: unblocking the signal in the thread, or taking it from a handler of the service's.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use super::no_stack::NoStack;
use super::progress;
use crate::dropped::Dropped;
use crate::fork::{self, Lock};
use crate::stack::{MAX_FRAMES, StackSnapshot};
use crate::sys::signals::{self, Interrupted, NotSent};
use crate::sys::{self, procfs};

/// Which signal is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Any that is free.
    Free,
    /// This one.
    Number(i32),
    /// None.
    Off,
}

/// A thread that runs answers in microseconds; one that waits for a core should get it in this time.
const TIMEOUT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(50);

const IDLE: u64 = 0;
const ASKED: u64 = 1;
const WRITING: u64 = 2;
const DONE: u64 = 3;
/// The bits of a request that hold its phase.
const PHASE: u64 = 3;

/// The phase, above it the id of the thread asked, and on top the number of the process.
static REQUEST: AtomicU64 = AtomicU64::new(IDLE);
static COPY: StackSnapshot = StackSnapshot::new();
/// Held while a request runs.
static ONE_AT_A_TIME: Lock<()> = Lock::new(());
/// The owner's choice: a signal, or one of these.
static SIGNAL: AtomicI32 = AtomicI32::new(FREE);
const FREE: c_int = 0;
const OFF: c_int = -1;

/// Which signal is used from now on.
pub(crate) fn set_signal(choice: Choice) {
    let choice = match choice {
        Choice::Free => FREE,
        Choice::Number(signal) => signal,
        Choice::Off => OFF,
    };
    SIGNAL.store(choice, Ordering::Relaxed);
}

/// Appends the stack of a thread of this process, innermost first, if it runs until it is signalled.
pub(super) fn stack(tid: u32, frames: &mut Vec<u64>) -> Result<(), NoStack> {
    let _turn = ONE_AT_A_TIME.lock();
    let signal = chosen()?;
    if !signals::install(signal, handle).map_err(refused)? {
        return Err(NoStack::SignalTaken(signal));
    }
    // A thread that is just leaving the handler blocks the signal too, but not for long.
    if !in_time(|| !is_blocked(tid, signal)) {
        return Err(NoStack::SignalBlocked(signal));
    }
    if !progress::is_at_work(tid)? {
        return Err(NoStack::Restless);
    }
    ask(tid, signal)?;
    let mut found = [0; MAX_FRAMES];
    let (depth, is_empty) = (COPY.walk(&mut found), COPY.is_empty());
    REQUEST.store(IDLE, Ordering::Relaxed);
    if is_empty {
        return Err(NoStack::Untold);
    }
    frames.extend_from_slice(&found[..depth]);
    Ok(())
}

/// Why no thread can be signalled.
pub(super) fn obstacle() -> Option<NoStack> {
    let is_sent = || match sys::thread_id() {
        Some(own) => signals::send(own, 0).map_err(not_sent),
        None => Ok(()),
    };
    let is_told = || if crate::stack::is_told() { Ok(()) } else { Err(NoStack::Untold) };
    chosen().and_then(|_| is_sent()).and_then(|()| is_told()).err()
}

/// The signal to use: its handler is ours or nobody's.
fn chosen() -> Result<c_int, NoStack> {
    match SIGNAL.load(Ordering::Relaxed) {
        OFF => Err(NoStack::Off),
        FREE => first_free(),
        signal if is_free(signal)? => Ok(signal),
        signal => Err(NoStack::SignalTaken(signal)),
    }
}

fn not_sent(why: NotSent) -> NoStack {
    match why {
        NotSent::NoThread => NoStack::Ended,
        NotSent::Refused(error) => refused(error),
    }
}

/// The request to a thread of this process, in this phase.
fn request(tid: u32, phase: u64) -> u64 {
    u64::from(fork::known()) << 32 | u64::from(tid) << 2 | phase
}

/// Has the thread copy its stack into `COPY`.
fn ask(tid: u32, signal: c_int) -> Result<(), NoStack> {
    // Acquire: pairs with the Release of a handler that is done.
    let before = REQUEST.load(Ordering::Acquire);
    let is_own = before >> 32 == u64::from(fork::process().get());
    if is_own && before & PHASE == WRITING {
        return Err(NoStack::Busy);
    }
    let asked = request(tid, ASKED);
    // Release: pairs with the Acquire of the handler.
    REQUEST.store(asked, Ordering::Release);
    let sent = signals::send(tid, signal);
    if sent.is_ok() {
        // Acquire: pairs with the handler's Release of done: the copy is whole.
        in_time(|| REQUEST.load(Ordering::Acquire) & PHASE == DONE);
    }
    // Acquire: as above, where it was done at the last moment.
    match REQUEST.compare_exchange(asked, IDLE, Ordering::Relaxed, Ordering::Acquire) {
        Ok(_) => Err(sent.map_or_else(not_sent, |()| NoStack::NoAnswer)),
        Err(now) if now & PHASE == DONE => Ok(()),
        Err(_) => Err(NoStack::Busy),
    }
}

/// Waits until `done`; false if it is not in time.
fn in_time(done: impl Fn() -> bool) -> bool {
    let until = Instant::now() + TIMEOUT;
    while !done() {
        if Instant::now() > until {
            return false;
        }
        crate::clock::sleep(PAUSE);
    }
    true
}

/// Runs on the thread that was asked, wherever the signal struck it: touches nothing but atomics and
/// that thread's own stack.
fn handle(interrupted: &Interrupted) {
    notice_ended_call(interrupted);
    let Some(tid) = sys::thread_id() else { return };
    let (asked, writing) = (request(tid, ASKED), request(tid, WRITING));
    // Acquire: pairs with the Release of `ask`.
    if REQUEST.compare_exchange(asked, writing, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        COPY.write(interrupted.into());
        // Release: pairs with the Acquire loads of `ask`.
        REQUEST.store(request(tid, DONE), Ordering::Release);
    }
}

/// Only threads that run are signalled; this counts those that had begun to wait when the signal came.
pub(super) static ENDED_CALLS: Dropped = Dropped::new(
    "system_calls_interrupted",
    "a system call of the service's failed with EINTR, as a thread began to wait just when it was asked for its stack",
);

/// Counts a system call that the signal has ended: it gave `EINTR`, and the thread is right behind it. One that is
/// restarted begins again, so the thread is before it. For signal handlers.
pub(crate) fn notice_ended_call(interrupted: &Interrupted) {
    if interrupted.may_see_eintr && crate::stack::is_behind_system_call(interrupted.ip) {
        ENDED_CALLS.count();
    }
}

/// The first real-time signal whose handler is ours or nobody's. Programs that use some themselves begin
/// with the lowest: those are left to them.
fn first_free() -> Result<c_int, NoStack> {
    for signal in signals::real_time().skip(4) {
        if is_free(signal)? {
            return Ok(signal);
        }
    }
    Err(NoStack::NoFreeSignal)
}

/// True if the signal's handler is ours or nobody's; false also if it can have none.
fn is_free(signal: c_int) -> Result<bool, NoStack> {
    signals::is_free(signal, handle).map_err(refused)
}

fn refused(error: io::Error) -> NoStack {
    NoStack::SignalRefused(error.kind())
}

/// True if the thread would not run a handler.
fn is_blocked(tid: u32, signal: c_int) -> bool {
    procfs::blocked_signals(tid).is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::thread::tests::{alone, tid};

    #[test]
    fn a_late_answer_is_not_written() {
        let _alone = alone();
        let (asked, unblock) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let signal = first_free().expect("this test binary has no handlers");
        assert!(signals::install(signal, handle).expect("it can have a handler"));
        let thread = std::thread::spawn(move || {
            mask(libc::SIG_BLOCK, signal);
            started.send(tid()).expect("the test waits");
            unblock.recv().expect("the test sends");
            mask(libc::SIG_UNBLOCK, signal);
        });
        let tid = start.recv().expect("the thread sends");
        assert_eq!(ask(tid, signal), Err(NoStack::NoAnswer));
        let before = REQUEST.load(Ordering::Relaxed);
        asked.send(()).expect("the thread waits");
        thread.join().expect("it lives through the signal");
        assert_eq!((before, REQUEST.load(Ordering::Relaxed)), (IDLE, IDLE));
    }

    #[test]
    fn an_answer_that_does_not_end_blocks_no_one() {
        let _alone = alone();
        let unfinished = request(tid(), WRITING);
        REQUEST.store(unfinished, Ordering::Relaxed);
        let signal = first_free().expect("this test binary has no handlers");
        assert_eq!(ask(tid(), signal), Err(NoStack::Busy));
        assert_eq!(REQUEST.swap(IDLE, Ordering::Relaxed), unfinished, "it may still be written");
    }

    fn mask(how: c_int, signal: c_int) {
        // SAFETY: a set of one signal, for this thread.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigaddset(&raw mut set, signal);
            libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut());
        }
    }
}
