//! Something that diag could not do.

use std::error::Error;
use std::fmt;
#[cfg(feature = "agent")]
use std::net::SocketAddr;

use crate::bad_setting::BadSetting;

/// Something that diag could not do, or does otherwise than it was asked. The service goes on, and so does the rest of
/// diag.
#[derive(Debug)]
pub struct Problem {
    kind: ProblemKind,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a [`Problem`] is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// diag was started before in this process; that start stays in force.
    AlreadyStarted,
    /// A `DIAG_*` variable is misspelt, empty, or has a value that cannot be used; the others count.
    Variable,
    /// The agent found no port, or its thread could not be started, or it ended, or lets nobody in.
    Agent,
    /// The agent was to listen where other machines reach it, without a token and without
    /// [`Builder::open`](crate::Builder::open); it was not started.
    Unguarded,
    /// The heap is not sampled.
    Heap,
    /// Snapshots do not reach their folder.
    Files,
    /// A last snapshot could not be written: that of a [`Guard`](crate::Guard), or one of
    /// [`Builder::last`](crate::Builder::last).
    LastSnapshot,
    /// The thread that spares clock reads could not be started: recording costs a little more.
    Ticker,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, text: impl Into<String>) -> Self {
        Problem { kind, text: text.into(), source: None }
    }

    pub(crate) fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Problem { source: Some(Box::new(source)), ..self }
    }

    pub(crate) fn already_started() -> Self {
        Problem::new(ProblemKind::AlreadyStarted, "diag was started before in this process")
    }

    pub(crate) fn variable(bad: BadSetting) -> Self {
        Problem::new(ProblemKind::Variable, bad.to_string()).because(bad)
    }

    #[cfg(feature = "agent")]
    pub(crate) fn unguarded(addr: SocketAddr) -> Self {
        let text = format!(
            "the agent does not listen on {addr}, where other machines could read it: set DIAG_TOKEN, or \
             DIAG_OPEN=1 if everybody may"
        );
        Problem::new(ProblemKind::Unguarded, text)
    }

    /// What it is with.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
