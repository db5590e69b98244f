//! What a start returns.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::fork;
use crate::messages;
use crate::problem::{Problem, ProblemKind};

/// What [`Builder::start`](crate::Builder::start) could not start, where the agent listens, and, if it is asked to, the
/// last snapshot.
///
/// Nothing ends when it is dropped but itself: what was started runs to the end of the process.
#[derive(Debug)]
#[must_use = "it has the problems of the start; dropped, it writes the last snapshot at once"]
pub struct Guard {
    process: NonZeroU32,
    agent: Option<SocketAddr>,
    problems: Vec<Problem>,
    last_snapshot: Option<PathBuf>,
}

impl Guard {
    pub(crate) fn new(process: NonZeroU32, agent: Option<SocketAddr>, problems: Vec<Problem>) -> Self {
        Guard { process, agent, problems, last_snapshot: None }
    }

    /// Where the agent listens, if there is one: the asked port may have been busy.
    pub fn agent_addr(&self) -> Option<SocketAddr> {
        self.agent
    }

    /// Everything that could not be started or used, in the order in which it was met. Empty if all is as it was asked.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Writes a last snapshot to `path` when the guard is dropped.
    ///
    /// ```
    /// # unsafe { std::env::set_var("DIAG_ADDR", "off") };
    /// # let path = std::env::temp_dir().join(format!("diag-guard-{}.diag", std::process::id()));
    /// let guard = diag::Builder::new().start().snapshot_on_drop(&path);
    /// // the service runs, and ends
    /// drop(guard);
    /// # assert!(path.exists());
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn snapshot_on_drop(mut self, path: impl Into<PathBuf>) -> Self {
        self.last_snapshot = Some(path.into());
        self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The snapshot of a child would take the place of its parent's.
        if self.process == fork::process()
            && let Some(path) = &self.last_snapshot
            && let Err(error) = crate::snapshot_to(path)
        {
            messages::report(&Problem::new(ProblemKind::LastSnapshot, error.to_string()).because(error));
        }
    }
}
