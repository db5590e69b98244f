//! Who asked a task to stop.

use crate::schema::codes;

codes! {
    /// What asked a task to stop. Asked is not stopped: a poll that never yields runs on.
    CancelBy {
        /// `abort` of its `JoinHandle` or `AbortHandle`.
        Abort = "abort",
        /// `abort_all` or `shutdown` of its `JoinSet`.
        SetAborted = "abort of its JoinSet",
        /// Its `JoinSet` was dropped.
        SetDropped = "drop of its JoinSet",
        /// Its `LocalSet` was dropped.
        LocalSetDropped = "drop of its LocalSet",
        /// Its runtime was shut down.
        RuntimeShutdown = "runtime shutdown",
    }
}

impl CancelBy {
    /// Returns what it is in a sentence: it was stopped by *something unknown*.
    pub fn words(self) -> &'static str {
        match self {
            CancelBy::Unknown => "something unknown",
            known => known.as_str(),
        }
    }
}
