//! Who asked a task to stop.

use super::cell::Coded;

/// What asked a task to stop. Asked is not stopped: a poll that never yields runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CancelBy {
    /// `abort` of its `JoinHandle` or `AbortHandle`.
    Abort,
    /// `abort_all` or `shutdown` of its `JoinSet`.
    SetAborted,
    /// Its `JoinSet` was dropped.
    SetDropped,
    /// Its `LocalSet` was dropped.
    LocalSetDropped,
    /// Its runtime was shut down.
    RuntimeShutdown,
    /// Not known, or a way of a newer format than this reader.
    Unknown,
}

impl Coded for CancelBy {
    const ALL: &'static [Self] = &[
        CancelBy::Abort,
        CancelBy::SetAborted,
        CancelBy::SetDropped,
        CancelBy::LocalSetDropped,
        CancelBy::RuntimeShutdown,
    ];
    const UNKNOWN: Self = CancelBy::Unknown;
}

impl CancelBy {
    /// A few words for people that go with "by".
    pub fn as_str(self) -> &'static str {
        match self {
            CancelBy::Abort => "abort",
            CancelBy::SetAborted => "abort of its JoinSet",
            CancelBy::SetDropped => "drop of its JoinSet",
            CancelBy::LocalSetDropped => "drop of its LocalSet",
            CancelBy::RuntimeShutdown => "runtime shutdown",
            CancelBy::Unknown => "something unknown",
        }
    }
}
