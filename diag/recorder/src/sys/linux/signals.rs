//! Handlers of signals, one for each signal at most, which stay once they are installed: a signal that comes late must
//! find it. What all of them do is done here: `errno` is put back, and the interrupted code is told in numbers.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ops::RangeInclusive;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::errno;

/// Runs on the thread that a signal has struck, wherever it did: may touch nothing but atomics and that thread's own
/// stack, and calls only what signal-safety(7) allows.
pub(crate) type Handler = fn(&Interrupted);

/// The code that a signal has interrupted, by its registers.
pub(crate) struct Interrupted {
    pub(crate) ip: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
    /// It is about to see `EINTR`, if a system call lies right before it.
    pub(crate) may_see_eintr: bool,
}

/// The signal of CPU-time timers.
#[cfg(profiles_cpu)]
pub(crate) const PROFILING: c_int = libc::SIGPROF;

const SIGNALS: usize = 65;
/// By the signal's number; 0 for none.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// The real-time signals that the C library leaves to programs.
pub(crate) fn real_time() -> RangeInclusive<c_int> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Makes this the signal's handler, unless the service has one; true if it is.
pub(crate) fn install(signal: c_int, handler: Handler) -> io::Result<bool> {
    let Some(place) = usize::try_from(signal).ok().and_then(|signal| HANDLERS.get(signal)) else {
        return Ok(false);
    };
    // Release: pairs with `enter`. Of two handlers for one signal the first stays.
    let before = place.compare_exchange(0, handler as usize, Ordering::Release, Ordering::Relaxed);
    if before.is_err_and(|other| other != handler as usize) {
        return Ok(false);
    }
    let now = action_of(signal)?;
    if now != libc::SIG_DFL {
        return Ok(now == ours());
    }
    // SAFETY: all zeros is a valid value: no flags, no signal masked.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = ours();
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

/// True if the signal's handler is this one or nobody's; false also if it can have none.
pub(crate) fn is_free(signal: c_int, handler: Handler) -> io::Result<bool> {
    match action_of(signal) {
        Ok(libc::SIG_DFL) => Ok(true),
        Ok(action) => Ok(action == ours() && handler_of(signal) == handler as usize),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Why a signal was not sent.
pub(crate) enum NotSent {
    /// This process has no such thread.
    NoThread,
    /// The system does not send it.
    Refused(io::Error),
}

/// Sends a signal to a thread of this process; 0 only asks whether one could be sent.
pub(crate) fn send(tid: u32, signal: c_int) -> Result<(), NotSent> {
    super::tgkill(tid, signal).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH) => NotSent::NoThread,
        _ => NotSent::Refused(error),
    })
}

extern "C" fn enter(signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    errno::keep(|| {
        let handler = handler_of(signal);
        if handler == 0 {
            return;
        }
        // SAFETY: only handlers are stored there.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
        // SAFETY: the kernel hands the interrupted context to a handler installed with SA_SIGINFO.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let register = |number: c_int| registers[number as usize];
        handler(&Interrupted {
            ip: register(libc::REG_RIP) as u64,
            sp: register(libc::REG_RSP) as u64,
            fp: register(libc::REG_RBP) as u64,
            may_see_eintr: register(libc::REG_RAX) == i64::from(-libc::EINTR),
        });
    });
}

/// As a number; 0 if there is none of ours.
fn handler_of(signal: c_int) -> usize {
    // Acquire: pairs with `install`.
    usize::try_from(signal)
        .ok()
        .and_then(|signal| HANDLERS.get(signal))
        .map_or(0, |of| of.load(Ordering::Acquire))
}

fn ours() -> libc::sighandler_t {
    enter as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as libc::sighandler_t
}

/// What is in force for a signal; an error if this is none that could have a handler, or if the system does not tell.
fn action_of(signal: c_int) -> io::Result<libc::sighandler_t> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_one_handler() {
        fn first(_: &Interrupted) {}
        fn second(interrupted: &Interrupted) {
            assert_ne!(interrupted.ip, 0);
        }
        // Looks for a free signal take the lowest ones.
        let signal = *real_time().end();
        assert!(is_free(signal, first).expect("it is told") && is_free(signal, second).expect("it is told"));
        assert!(install(signal, first).expect("it can have a handler"));
        assert!(install(signal, first).expect("it has it already"));
        assert!(!install(signal, second).expect("it is told"));
        assert!(is_free(signal, first).expect("it is told") && !is_free(signal, second).expect("it is told"));
        assert!(!is_free(0, first).expect("it is told") && !install(1_000, first).expect("it is told"));
    }
}
