//! The state of one thread, read on demand: does it run, wait for a core or sleep, and what is its call stack.
//!
//! For a thread that is held up inside of a poll, and only from the thread that captures. Nothing runs
//! between two readings: there is no sampling here, and no signal before the first one.

#[cfg(takes_stacks)]
mod asleep;
#[cfg(takes_stacks)]
mod no_stack;
#[cfg(takes_stacks)]
mod progress;
#[cfg_attr(not(takes_stacks), path = "unsupported.rs")]
mod signal;
#[cfg(all(test, takes_stacks))]
mod tests;

#[cfg(profiles_cpu)]
pub(crate) use signal::notice_ended_call;
pub(crate) use signal::{Choice, NoStack, set_signal};

use crate::health::Status;
pub(crate) use crate::sys::procfs::{Facts, facts};

/// What a thread was at when it was read.
#[derive(Debug)]
pub(crate) struct ThreadState {
    /// What the kernel says.
    pub(crate) facts: Facts,
    /// How many frames there are, or why none.
    pub(crate) stack: Result<usize, NoStack>,
}

/// Reads the state of a thread of this process; `None` if there is none of this id. `frames` gets its stack,
/// innermost first, each address one behind the instruction that is executed, as return addresses are.
///
/// A thread that sleeps is not disturbed: its stack is read from here. One that runs is interrupted by a signal for
/// some ten microseconds; should it begin to wait in a system call before the signal comes, that call may fail with
/// `EINTR`, which is counted. Takes up to 100 ms if the thread does not answer. After
/// [`stack::prepare`](crate::stack::prepare).
pub(crate) fn read(tid: u32, frames: &mut Vec<u64>) -> Option<ThreadState> {
    let facts = facts(tid)?;
    frames.clear();
    let stack = stack(tid, frames).map(|()| frames.len());
    Some(ThreadState { facts, stack })
}

/// What can be read now.
#[cfg(takes_stacks)]
pub(crate) fn status() -> Status {
    let obstacles: Vec<_> = asleep::obstacle().into_iter().chain(signal::obstacle()).collect();
    match obstacles.as_slice() {
        [] => Status::Works,
        [NoStack::Off] => Status::Off("DIAG_SIGNAL=off: threads that run have no stack".into()),
        obstacles => {
            let said: Vec<_> = obstacles.iter().map(ToString::to_string).collect();
            Status::Failed(said.join("; ").into())
        }
    }
}

#[cfg(not(takes_stacks))]
pub(crate) fn status() -> Status {
    Status::Off(NoStack.to_string().into())
}

#[cfg(takes_stacks)]
fn stack(tid: u32, frames: &mut Vec<u64>) -> Result<(), NoStack> {
    /// A thread that sleeps and wakes all the time is tried so often.
    const TRIES: u32 = 32;
    let try_once = |_| match asleep::stack(tid, frames) {
        Ok(true) => Ok(()),
        Ok(false) => signal::stack(tid, frames),
        Err(none) => Err(none),
    };
    (0..TRIES).map(try_once).find(|found| *found != Err(NoStack::Restless)).unwrap_or(Err(NoStack::Restless))
}

#[cfg(not(takes_stacks))]
fn stack(tid: u32, frames: &mut Vec<u64>) -> Result<(), NoStack> {
    signal::stack(tid, frames)
}
