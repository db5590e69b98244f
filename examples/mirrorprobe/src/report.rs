//! What came of a check.

use std::fmt;
use std::time::Duration;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The cache had a fresh answer.
    Cached,
    /// The mirror answered.
    Answered,
    /// The mirror said that it cannot, or nobody listens there.
    Failed,
    /// It did not answer in time.
    TimedOut,
    /// The fuse of the mirror was open.
    Refused,
}

impl Outcome {
    /// Its word, in logs and labels.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::Cached => "cached",
            Outcome::Answered => "answered",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed out",
            Outcome::Refused => "refused by the fuse",
        }
    }

    /// True if the mirror has what was asked for; nothing if it was not asked.
    pub(crate) fn answers(self) -> Option<bool> {
        match self {
            Outcome::Cached | Outcome::Refused => None,
            Outcome::Answered => Some(true),
            Outcome::Failed | Outcome::TimedOut => Some(false),
        }
    }
}

/// What came of a check.
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) outcome: Outcome,
    pub(crate) attempts: u32,
    pub(crate) took: Duration,
    /// The beginning of the index, which dashboards show.
    pub(crate) head: Vec<u8>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { url, outcome, attempts, took, .. } = self;
        write!(f, "{url}: {}, {attempts} attempts, {} ms", outcome.as_str(), took.as_millis())
    }
}
