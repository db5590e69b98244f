//! Why there is no stack of a thread.

use std::fmt;
use std::io::ErrorKind;

use crate::sys::procfs::MEMORY;

/// Why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStack {
    /// The owner of the service forbade the signal.
    Off,
    /// All real-time signals have handlers.
    NoFreeSignal,
    /// This signal has a handler of the service's, or can have none.
    SignalTaken(i32),
    /// The thread blocks this signal.
    SignalBlocked(i32),
    /// The system does not tell whether the thread waits in a system call.
    StateUnknown(ErrorKind),
    /// The thread slept and woke too often to be looked at in between.
    Restless,
    /// The system refuses to install a handler, or to send a signal.
    SignalRefused(ErrorKind),
    /// The system lets nobody read memory of a thread that sleeps.
    Unreadable,
    /// The system does not tell a thread which part of its own stack can be read.
    Untold,
    /// The thread ended.
    Ended,
    /// The thread did not take the signal in time: it is in the kernel, or waits for a core.
    NoAnswer,
    /// Another thread has begun to answer and did not end.
    Busy,
}

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoStack::Off => f.write_str("switched off by DIAG_SIGNAL=off"),
            NoStack::NoFreeSignal => f.write_str("every real-time signal has a handler of the service's"),
            NoStack::SignalTaken(signal) => {
                write!(f, "signal {signal} has a handler already: name a free one with DIAG_SIGNAL")
            }
            NoStack::SignalBlocked(signal) => {
                write!(f, "the thread blocks signal {signal}: name another one with DIAG_SIGNAL")
            }
            NoStack::StateUnknown(error) => {
                write!(
                    f,
                    "the system does not tell whether the thread waits, so it is not signalled: {error}"
                )
            }
            NoStack::Restless => f.write_str("the thread slept and woke too often to be looked at"),
            NoStack::SignalRefused(error) => write!(f, "the system refuses to signal threads: {error}"),
            NoStack::Unreadable => write!(
                f,
                "the system refuses process_vm_readv and {MEMORY}, so the stack of a thread that sleeps cannot be read"
            ),
            NoStack::Untold => f.write_str(
                "the system refuses rt_sigprocmask, which tells whether the stack of a thread that runs can be read",
            ),
            NoStack::Ended => f.write_str("the thread has ended"),
            NoStack::NoAnswer => f.write_str("the thread did not answer within 100 ms"),
            NoStack::Busy => f.write_str("another thread has not answered yet"),
        }
    }
}
