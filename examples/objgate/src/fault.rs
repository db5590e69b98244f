//! Mistakes to make, one at a time.

use clap::ValueEnum;
use diag_trial::marks::{self, Sources};

/// A mistake that the gateway makes if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Each upload builds a client of its own, and all of them are kept for the shutdown.
    ClientPerCall,
    /// The one task that watches the quota takes a connection each time, and gives none back.
    StuckSingleton,
    /// A download that finds nothing forgets its permit.
    ForgottenPermit,
    /// What is asked of the store has no deadline.
    NoDeadline,
    /// Of a preview only the first bytes are read, and the rest of the body is kept.
    BodyNotDrained,
    /// Parts that are sent again do not hear that their upload was cancelled.
    CancelNotPassed,
    /// Nobody tells the store that an upload is given up.
    OrphanedParts,
    /// Each reload starts a watcher, and none is stopped.
    ReloadWatcher,
    /// The task that gives up idle uploads panics.
    DeadEvictor,
    /// Idle buffers are kept by tenant and request, and never found again.
    IdleKeys,
}

impl Fault {
    /// Its name on the command line.
    pub fn name(self) -> String {
        diag_trial::name(&self)
    }

    /// The lines of this package that are marked as those of it.
    pub fn lines(self) -> Vec<String> {
        marks::lines(SOURCES, &self.name())
    }
}

const SOURCES: &Sources = &[
    ("download", include_str!("download.rs")),
    ("gateway", include_str!("gateway.rs")),
    ("idle", include_str!("idle.rs")),
    ("preview", include_str!("preview.rs")),
    ("quota", include_str!("quota.rs")),
    ("reload", include_str!("reload.rs")),
    ("store", include_str!("store.rs")),
    ("upload", include_str!("upload.rs")),
    ("uploads", include_str!("uploads.rs")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_marks_belong_together() {
        let faults = Fault::value_variants().iter().map(|fault| fault.name());
        marks::check(SOURCES, &faults.collect::<Vec<_>>());
    }
}
