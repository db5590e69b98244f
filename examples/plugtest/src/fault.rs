//! Mistakes to make, one at a time.

use clap::ValueEnum;
use diag_trial::marks::{self, Sources};

/// A mistake that the runner makes if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Each test opens a pool of its own, and all of them are kept for the shutdown.
    PoolPerTest,
    /// All tests share one mock, which keeps what it was asked.
    SharedMock,
    /// A test in a process of its own ends that by `exit`, so nothing of it is dropped.
    Exit,
    /// The same, by `abort`.
    Abort,
    /// A test forgets its scratch folder.
    Forget,
    /// The task that checks what a test was told panics, and nobody awaits it: the test passes.
    UnobservedPanic,
    /// A plugin begins with a suite after the first test did, and does not know what that has spawned.
    LateInit,
    /// Each report builds a runtime of its own, and all of them are kept for the shutdown.
    RuntimePerTest,
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
    ("database", include_str!("database.rs")),
    ("isolated", include_str!("isolated.rs")),
    ("mock", include_str!("mock.rs")),
    ("refund", include_str!("refund.rs")),
    ("report", include_str!("report.rs")),
    ("scratch", include_str!("scratch.rs")),
    ("watch", include_str!("watch.rs")),
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
