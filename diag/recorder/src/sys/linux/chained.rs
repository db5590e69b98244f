//! Signals that are noticed and then handled as they were before: by the service's own handler, not at all, or by their
//! default action, for which somebody else waits a moment.
//!
//! | who | does |
//! |---|---|
//! | handler | notices, then calls the one before, if that is a function |
//! | whoever was told | does its work, then [takes the default action](end_by_default), unless the service has put another handler in place meanwhile: that one may call ours, and goes on |
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::errno;

/// Runs on the thread that the signal has struck: may touch nothing but atomics, and calls only what signal-safety(7)
/// allows. False if nobody will do what is to be done.
pub(crate) type Notice = fn(c_int) -> bool;

/// What a signal did before it was chained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Its default action.
    Default,
    Ignored,
    /// A handler of the service's.
    Handler,
}

struct Chained {
    notice: AtomicUsize,
    is_known: AtomicBool,
    before: UnsafeCell<MaybeUninit<libc::sigaction>>,
}

// SAFETY: `before` is written once, before `is_known` is set, and only read from then on.
unsafe impl Sync for Chained {}

const SIGNALS: usize = 65;
static CHAINED: [Chained; SIGNALS] = [const {
    Chained {
        notice: AtomicUsize::new(0),
        is_known: AtomicBool::new(false),
        before: UnsafeCell::new(MaybeUninit::uninit()),
    }
}; SIGNALS];

/// The signal by which a process is asked to end.
pub(crate) const TERMINATE: c_int = libc::SIGTERM;

/// Whether a handler may be put there: not for what no process survives, nor for what a fault of its own raises.
pub(crate) fn may_chain(signal: c_int) -> bool {
    let never = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGABRT,
        libc::SIGTRAP,
        libc::SIGSYS,
    ];
    (1..SIGNALS as c_int).contains(&signal) && !never.contains(&signal)
}

/// Has `notice` called when the signal comes, and then what was called before. Once for each signal; a second time
/// another `notice` takes the place of the first.
pub(crate) fn chain(signal: c_int, notice: Notice) -> io::Result<Before> {
    let place = place(signal).filter(|_| may_chain(signal));
    let place = place.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    // Release: pairs with `enter`.
    place.notice.store(notice as usize, Ordering::Release);
    // SAFETY: only asks.
    let now = unsafe { sigaction(signal, ptr::null()) }?;
    if !place.is_known.load(Ordering::Acquire) {
        // SAFETY: nobody reads it before it is known, and starts of diag do not overlap.
        unsafe { (*place.before.get()).write(now) };
        place.is_known.store(true, Ordering::Release);
    }
    if now.sa_sigaction == ours() {
        return Ok(before(place));
    }
    // SAFETY: all zeros is a valid value: no signal masked.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = ours();
    // As the one before had it, whose thread may rely on that; on the signal stack, if there is one.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | now.sa_flags & libc::SA_NODEFER;
    action.sa_flags |= if has_handler(&now) { now.sa_flags & libc::SA_RESTART } else { libc::SA_RESTART };
    action.sa_mask = now.sa_mask;
    // SAFETY: a handler that may run at any time and place.
    unsafe { sigaction(signal, &raw const action) }?;
    Ok(before(place))
}

/// Ends the process as the signal would have done without us. Nothing happens if the service has another handler by now,
/// or had one before.
pub(crate) fn end_by_default(signal: c_int) {
    let is_default = place(signal).is_some_and(|place| before(place) == Before::Default);
    // SAFETY: only asks.
    let now = unsafe { sigaction(signal, ptr::null()) };
    if !is_default || !now.is_ok_and(|now| now.sa_sigaction == ours()) {
        return;
    }
    // SAFETY: all zeros is a valid value, and the default action.
    let default: libc::sigaction = unsafe { zeroed() };
    // SAFETY: a valid action, and a signal to this process.
    unsafe {
        if sigaction(signal, &raw const default).is_ok() {
            libc::kill(libc::getpid(), signal);
        }
    }
}

extern "C" fn enter(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    errno::keep(|| {
        let Some(place) = place(signal) else { return };
        // Acquire: pairs with `chain`.
        let notice = place.notice.load(Ordering::Acquire);
        if notice == 0 {
            return;
        }
        // SAFETY: only functions of this type are stored there.
        let notice = unsafe { std::mem::transmute::<usize, Notice>(notice) };
        if !notice(signal) {
            end_by_default(signal);
        }
    });
    let Some(place) = place(signal) else { return };
    if before(place) == Before::Handler {
        // SAFETY: it is known, or there would be no handler.
        let action = unsafe { (*place.before.get()).assume_init_ref() };
        call(action, signal, info, context);
    }
}

/// Calls a handler as the kernel would.
fn call(action: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the service installed it with these flags, for this signal.
    unsafe {
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                std::mem::transmute(action.sa_sigaction);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(c_int) = std::mem::transmute(action.sa_sigaction);
            handler(signal);
        }
    }
}

fn place(signal: c_int) -> Option<&'static Chained> {
    usize::try_from(signal).ok().and_then(|signal| CHAINED.get(signal))
}

fn before(place: &Chained) -> Before {
    // Acquire: pairs with `chain`.
    if !place.is_known.load(Ordering::Acquire) {
        return Before::Default;
    }
    // SAFETY: it is known, and not written again.
    let action = unsafe { (*place.before.get()).assume_init_ref() };
    match action.sa_sigaction {
        libc::SIG_DFL => Before::Default,
        libc::SIG_IGN => Before::Ignored,
        _ => Before::Handler,
    }
}

fn has_handler(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

fn ours() -> libc::sighandler_t {
    enter as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as libc::sighandler_t
}

/// Puts an action in force unless it is null. Gives the one before.
///
/// # Safety
/// The action must be null or valid, its handler one that may run at any time.
unsafe fn sigaction(signal: c_int, new: *const libc::sigaction) -> io::Result<libc::sigaction> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: by the promise of the caller, and a place for the answer.
    if unsafe { libc::sigaction(signal, new, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it in.
    Ok(unsafe { before.assume_init() })
}
