//! A look at one thread, on demand: does it run, wait for a core or sleep, and what is its call stack.
//!
//! For a thread that is held up inside of a poll, and only from the thread that captures. Nothing runs
//! between two looks: there is no sampling here, and no signal before the first look.

#[cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]
mod blocked;
mod facts;
#[cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]
mod no_stack;
#[cfg_attr(
    not(all(feature = "stacks", target_os = "linux", target_arch = "x86_64")),
    path = "unsupported.rs"
)]
mod signal;
#[cfg(all(test, feature = "stacks", target_os = "linux", target_arch = "x86_64"))]
mod tests;
mod throttled;

pub(crate) use facts::Facts;
pub(crate) use signal::{Choice, NoStack, set_signal};
#[cfg(all(feature = "cpu-profile", target_os = "linux", target_arch = "x86_64"))]
pub(crate) use signal::{handler_of, registers, sigaction};
pub(crate) use throttled::throttled;

/// What a look found.
#[derive(Debug)]
pub(crate) struct Look {
    /// What the kernel says.
    pub(crate) facts: Facts,
    /// How many frames there are, or why none.
    pub(crate) stack: Result<usize, NoStack>,
}

/// What the kernel says of a thread of this process; `None` if there is none of this id.
pub(crate) fn facts(tid: u32) -> Option<Facts> {
    Facts::read(tid)
}

/// Looks at a thread of this process; `None` if there is none of this id. `frames` gets its stack,
/// innermost first, each address one behind the instruction that is executed, as return addresses are.
///
/// The thread is interrupted by a signal for some ten microseconds. A system call that it waits in goes
/// on afterwards, or, if it is one of those that the kernel never restarts (sleeping, polling), fails
/// with `EINTR`, which std and tokio take care of. Takes up to 100 ms if the thread does not answer.
/// After [`stack::prepare`](crate::stack::prepare).
pub(crate) fn look(tid: u32, frames: &mut Vec<u64>) -> Option<Look> {
    let facts = Facts::read(tid)?;
    frames.clear();
    let stack = signal::stack(tid, frames).map(|()| frames.len());
    Some(Look { facts, stack })
}
