//! What diag says to the owner of the service: on stderr, as there may be no logger yet and a service must still learn
//! of a misspelt setting; to the service's own function; and, with the feature `tracing`, as events.

use std::fmt;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fork::Lock;
use crate::problem::Problem;

/// A function of the service's for problems.
pub(crate) type Hook = fn(&Problem);

static HOOK: Lock<Option<Hook>> = Lock::new(None);
static STDERR: AtomicBool = AtomicBool::new(true);

/// Who is told from now on.
pub(crate) fn install(hook: Option<Hook>, stderr: bool) {
    *HOOK.lock() = hook;
    STDERR.store(stderr, Ordering::Relaxed);
}

/// Tells of a problem.
pub(crate) fn report(problem: &Problem) {
    let hook = *HOOK.lock();
    if let Some(hook) = hook {
        // What a panic leaves half done is the service's own.
        let _ = catch_unwind(AssertUnwindSafe(|| hook(problem)));
    }
    if !is_event(Level::Warning, problem) {
        print(problem);
    }
}

/// Tells what is no problem.
pub(crate) fn note(message: &dyn fmt::Display) {
    if !is_event(Level::Note, message) {
        print(message);
    }
}

/// In one write, so that no other line gets in between; and not by `eprintln`, which panics where stderr is a
/// closed pipe or a file on a full disk.
fn print(message: &dyn fmt::Display) {
    if STDERR.load(Ordering::Relaxed) {
        let _ = std::io::stderr().write_all(format!("diag: {message}\n").as_bytes());
    }
}

#[derive(Clone, Copy)]
enum Level {
    Note,
    Warning,
}

/// Says it as an event, and returns true, if there is somebody for events.
#[cfg(feature = "tracing")]
fn is_event(level: Level, message: &dyn fmt::Display) -> bool {
    if !tracing::dispatcher::has_been_set() {
        return false;
    }
    // The subscriber is the service's, and may panic.
    let _ = catch_unwind(AssertUnwindSafe(|| match level {
        Level::Note => tracing::info!(target: "diag", "{message}"),
        Level::Warning => tracing::warn!(target: "diag", "{message}"),
    }));
    true
}

#[cfg(not(feature = "tracing"))]
fn is_event(level: Level, _: &dyn fmt::Display) -> bool {
    match level {
        Level::Note | Level::Warning => false,
    }
}
