//! Mistakes to make, one at a time.

use clap::ValueEnum;
use diag_trial::marks::{self, Sources};

/// A mistake that the prober makes if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// What failed is tried again after a constant pause, without end, and the fuse does not hear of it.
    RetryStorm,
    /// An attempt has no timeout.
    NoTimeout,
    /// Nothing goes from the cache.
    CacheWithoutTtl,
    /// What failed spawns two more checks, and each of these does so in its turn.
    SpawnPerRetry,
    /// Each check that an open fuse turns away makes it stay open for longer.
    FuseStuckOpen,
    /// A counter has the id of the check among its labels.
    LabelExplosion,
    /// A dashboard that is not looked at keeps its receiver and does not read.
    BroadcastLag,
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
    ("cache", include_str!("cache.rs")),
    ("check", include_str!("check.rs")),
    ("feed", include_str!("feed.rs")),
    ("fuse", include_str!("fuse.rs")),
    ("metrics", include_str!("metrics.rs")),
    ("prober", include_str!("prober.rs")),
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
