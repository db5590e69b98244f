//! What came of each check, for whoever wants to hear of it: the log, and dashboards.

use std::sync::Arc;

use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::report::Report;

/// So many reports are kept for whoever is slow.
const KEPT: usize = 1 << 14;

/// The feed of reports.
#[derive(Clone)]
pub(crate) struct Feed(Sender<Arc<Report>>);

impl Feed {
    pub(crate) fn new() -> Self {
        Feed(broadcast::Sender::new(KEPT))
    }

    /// Tells all who listen.
    pub(crate) fn tell(&self, report: Report) {
        // Nobody needs to listen.
        let _ = self.0.send(Arc::new(report));
    }

    pub(crate) fn listen(&self) -> Receiver<Arc<Report>> {
        self.0.subscribe()
    }

    /// How many reports somebody has not read yet.
    pub(crate) fn unread(&self) -> usize {
        self.0.len()
    }
}
