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

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::asleep;
pub(crate) use super::no_stack::NoStack;
use crate::dropped::Dropped;
use crate::fork::{self, Lock};
use crate::stack::{CopiedStack, MAX_FRAMES, Registers};
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
static COPY: CopiedStack = CopiedStack::new();
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
    if !install(signal, handle).map_err(refused)? {
        return Err(NoStack::SignalTaken(signal));
    }
    // A thread that is just leaving the handler blocks the signal too, but not for long.
    if !in_time(|| !is_blocked(tid, signal)) {
        return Err(NoStack::SignalBlocked(signal));
    }
    // All of that took time.
    if !asleep::runs(tid)? {
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
        Some(own) => sys::send_signal(own, 0).map_err(not_sent),
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

/// Why a signal was not sent.
fn not_sent(error: io::Error) -> NoStack {
    match error.raw_os_error() {
        Some(libc::ESRCH) => NoStack::Ended,
        _ => NoStack::SignalRefused(error.kind()),
    }
}

/// The request to a thread of this process, in this phase.
fn request(tid: u32, phase: u64) -> u64 {
    u64::from(fork::known()) << 32 | u64::from(tid) << 2 | phase
}

/// Has the thread copy its stack into `COPY`.
fn ask(tid: u32, signal: c_int) -> Result<(), NoStack> {
    let before = REQUEST.load(Ordering::Acquire);
    let is_own = before >> 32 == u64::from(fork::process().get());
    if is_own && before & PHASE == WRITING {
        return Err(NoStack::Busy);
    }
    let asked = request(tid, ASKED);
    REQUEST.store(asked, Ordering::Release);
    let sent = sys::send_signal(tid, signal);
    if sent.is_ok() {
        in_time(|| REQUEST.load(Ordering::Acquire) & PHASE == DONE);
    }
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
/// that thread's own stack, and calls only what signal-safety(7) allows.
extern "C" fn handle(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    crate::sys::errno::keep(|| {
        // SAFETY: the kernel hands the interrupted context to a handler installed with SA_SIGINFO.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        notice_ended_call(context);
        let registers = registers(context);
        // SAFETY: no preconditions.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
        let (asked, writing) = (request(tid, ASKED), request(tid, WRITING));
        if REQUEST.compare_exchange(asked, writing, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            COPY.write(registers);
            REQUEST.store(request(tid, DONE), Ordering::Release);
        }
    });
}

/// Only threads that run are signalled; this counts those that had begun to wait when the signal came.
pub(super) static ENDED_CALLS: Dropped = Dropped::new(
    "system_calls_interrupted",
    "a system call of the service's failed with EINTR, as a thread began to wait just when it was asked for its stack",
);

/// Counts a system call that the signal has ended: it gave `EINTR`, and the thread is right behind it. One that is
/// restarted begins again, so the thread is before it. For signal handlers.
pub(crate) fn notice_ended_call(context: &libc::ucontext_t) {
    let register = |number: c_int| context.uc_mcontext.gregs[number as usize];
    if register(libc::REG_RAX) == i64::from(-libc::EINTR)
        && crate::stack::is_behind_system_call(register(libc::REG_RIP) as u64)
    {
        ENDED_CALLS.count();
    }
}

/// The registers of the code that a signal has interrupted.
pub(crate) fn registers(context: &libc::ucontext_t) -> Registers {
    let register = |number: c_int| context.uc_mcontext.gregs[number as usize] as u64;
    Registers { ip: register(libc::REG_RIP), sp: register(libc::REG_RSP), fp: register(libc::REG_RBP) }
}

/// The first real-time signal whose handler is ours or nobody's. Programs that use some themselves begin
/// with the lowest: those are left to them.
fn first_free() -> Result<c_int, NoStack> {
    for signal in libc::SIGRTMIN() + 4..=libc::SIGRTMAX() {
        if is_free(signal)? {
            return Ok(signal);
        }
    }
    Err(NoStack::NoFreeSignal)
}

/// True if the signal's handler is ours or nobody's; false also if it can have none.
fn is_free(signal: c_int) -> Result<bool, NoStack> {
    match handler_of(signal) {
        Ok(handler) => Ok(handler == ours() || handler == libc::SIG_DFL),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: io::Error) -> NoStack {
    NoStack::SignalRefused(error.kind())
}

/// Runs on the thread that gets the signal, and may do so at any time and place.
pub(crate) type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Makes this the signal's handler, unless the service has one; true if it is.
pub(crate) fn install(signal: c_int, handler: Handler) -> io::Result<bool> {
    let ours = handler as libc::sighandler_t;
    let now = handler_of(signal)?;
    if now != libc::SIG_DFL {
        return Ok(now == ours);
    }
    // SAFETY: all zeros is a valid value: no flags, no signal masked.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = ours;
    // On the signal stack: the thread's own may be a coroutine's, which is small.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: a handler that may run at any time and place.
    let before = unsafe { sigaction(signal, &raw const action) }?;
    if before.sa_sigaction == libc::SIG_DFL {
        return Ok(true);
    }
    // The service installed its own in between.
    // SAFETY: the action that was in force is put back.
    unsafe { sigaction(signal, &raw const before) }?;
    Ok(false)
}

/// The handler in force; an error if this is no signal that could have one, or if the system does not tell.
fn handler_of(signal: c_int) -> io::Result<libc::sighandler_t> {
    // SAFETY: only asks.
    Ok(unsafe { sigaction(signal, ptr::null()) }?.sa_sigaction)
}

/// Puts an action in force unless it is null. Gives the one before.
///
/// # Safety
/// The action must be null or valid, its handler one that may run at any time.
unsafe fn sigaction(signal: c_int, new: *const libc::sigaction) -> io::Result<libc::sigaction> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: by the promise of the caller, and a place for the answer.
    let answer = unsafe { libc::sigaction(signal, new, before.as_mut_ptr()) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it in.
    Ok(unsafe { before.assume_init() })
}

fn ours() -> libc::sighandler_t {
    handle as Handler as libc::sighandler_t
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
        assert!(install(signal, handle).expect("it can have a handler"));
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
            let mut set = zeroed();
            libc::sigaddset(&raw mut set, signal);
            libc::pthread_sigmask(how, &raw const set, ptr::null_mut());
        }
    }
}
