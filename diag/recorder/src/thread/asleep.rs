//! Where a thread sleeps, as the kernel tells without disturbing it, and its stack there.
//!
//! A signal would end many a system call that waits: sleeping, polling and whatever has a time limit fail with
//! `EINTR` then, whether the handler asks for a restart or not. So a thread is only signalled while it runs.

use std::io;

use super::no_stack::NoStack;
use crate::fork::Lock;
use crate::stack::{MAX_FRAMES, StackSnapshot};
use crate::sys::{self, procfs};

/// Held while the copy is in use.
static ONE_AT_A_TIME: Lock<()> = Lock::new(());
static COPY: StackSnapshot = StackSnapshot::new();

/// What a thread is at.
#[derive(Debug, PartialEq, Eq)]
enum Activity {
    /// It runs, or is ready to.
    Runs,
    Sleeps(Sleep),
}

/// One sleep of a thread. Two are the same if it did not wake in between.
#[derive(Debug, PartialEq, Eq)]
struct Sleep {
    /// The system call with what it was called with, and the two below, as the kernel writes them.
    text: String,
    ip: u64,
    sp: u64,
    /// How often the thread has left its core.
    switches: Vec<u64>,
}

impl Activity {
    fn of(tid: u32) -> io::Result<Self> {
        // Who asks is in the system call that asks.
        if sys::thread_id() == Some(tid) {
            return Ok(Activity::Runs);
        }
        let switches = procfs::switches(&procfs::of_thread(tid, "status")?);
        let text = procfs::of_thread(tid, "syscall")?;
        Ok(match procfs::waits_at(&text) {
            Some((ip, sp)) => Activity::Sleeps(Sleep { text, ip, sp, switches }),
            None => Activity::Runs,
        })
    }
}

fn activity(tid: u32) -> Result<Activity, NoStack> {
    Activity::of(tid).map_err(|error| NoStack::StateUnknown(error.kind()))
}

/// True if the thread runs, or is ready to.
pub(super) fn runs(tid: u32) -> Result<bool, NoStack> {
    Ok(activity(tid)? == Activity::Runs)
}

/// Why no thread can be read, or none that sleeps.
pub(super) fn obstacle() -> Option<NoStack> {
    let told = sys::thread_id().map(|own| procfs::of_thread(own, "syscall"));
    let unknown = told.and_then(Result::err).map(|error| NoStack::StateUnknown(error.kind()));
    unknown.or_else(|| (!StackSnapshot::can_copy()).then_some(NoStack::Unreadable))
}

/// Appends the stack of a thread of this process that sleeps, innermost first; false if it runs.
pub(super) fn stack(tid: u32, frames: &mut Vec<u64>) -> Result<bool, NoStack> {
    let _turn = ONE_AT_A_TIME.lock();
    let before = activity(tid)?;
    let Activity::Sleeps(sleep) = &before else { return Ok(false) };
    COPY.copy(sleep.ip, sleep.sp);
    if activity(tid)? != before {
        return Err(NoStack::Restless);
    }
    if COPY.is_empty() {
        return Err(NoStack::Unreadable);
    }
    let mut found = [0; MAX_FRAMES];
    let depth = COPY.walk(&mut found);
    frames.extend_from_slice(&found[..depth]);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_runs() {
        let own = sys::thread_id().expect("threads have ids");
        assert_eq!(Activity::of(own).expect("it is told"), Activity::Runs);
    }
}
