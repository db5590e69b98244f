//! A mirror as the prober knows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::Fault;
use crate::fuse::Fuse;
use crate::report::Outcome;

/// So many attempts at once.
const AT_ONCE: usize = 64;

/// A mirror.
pub(crate) struct Mirror {
    pub(crate) url: String,
    pub(crate) fuse: Fuse,
    pub(crate) permits: Semaphore,
    /// How many attempts were begun, and how many of them have ended.
    pub(crate) begun: AtomicU64,
    pub(crate) ended: AtomicU64,
    last: AtomicU8,
}

/// Whether it answered when it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Last {
    /// It was never asked, or has not answered yet.
    Unknown,
    /// It did.
    Answered,
    /// It did not.
    Failed,
}

impl Mirror {
    pub(crate) fn new(url: String, fault: Option<Fault>) -> Self {
        Mirror {
            url,
            fuse: Fuse::new(fault),
            permits: Semaphore::new(AT_ONCE),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            last: AtomicU8::new(0),
        }
    }

    /// Remembers how a check of it ended.
    pub(crate) fn remember(&self, outcome: Outcome) {
        if let Some(answers) = outcome.answers() {
            self.last.store(if answers { 1 } else { 2 }, Ordering::Relaxed);
        }
    }

    pub(crate) fn last(&self) -> Last {
        match self.last.load(Ordering::Relaxed) {
            0 => Last::Unknown,
            1 => Last::Answered,
            _ => Last::Failed,
        }
    }

    /// How many attempts are under way.
    pub(crate) fn under_way(&self) -> u64 {
        self.begun.load(Ordering::Relaxed).saturating_sub(self.ended.load(Ordering::Relaxed))
    }
}
