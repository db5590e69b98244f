//! What there is to do: which tests a suite has, and how many run beside each other.

use std::time::Duration;

use clap::ValueEnum;

use crate::body::Body;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Tests of every kind: the load of all faults, and healthy without one.
    Mixed,
    /// Some tests take three seconds.
    Long,
    /// Most tests panic, and the runner is told.
    Panicking,
    /// Ten at once.
    Parallel,
}

impl Load {
    /// Its name on the command line.
    pub fn name(self) -> String {
        diag_trial::name(&self)
    }

    /// The tests of a suite. The first runs alone.
    pub(crate) fn bodies(self) -> Vec<Body> {
        use Body::{Isolated, Order, Refund, Report, Scratch, Slow, Watched};
        match self {
            Load::Mixed => {
                vec![Watched, Order, Order, Refund, Scratch, Scratch, Isolated, Isolated, Report, Watched]
            }
            Load::Long => vec![Watched, Order, Slow, Slow, Order, Watched],
            Load::Panicking => vec![Watched, Order, Refund, Refund, Refund, Refund],
            Load::Parallel => [Watched].into_iter().chain([Order; 20]).collect(),
        }
    }

    /// So many tests run beside each other.
    pub(crate) fn parallel(self) -> usize {
        if self == Load::Parallel { 10 } else { 4 }
    }

    /// A suite begins so often.
    pub(crate) fn every(self) -> Duration {
        Duration::from_millis(400)
    }
}
