//! What there is to do: which mirrors there are, and how often what is asked of them.

use std::time::Duration;

use clap::ValueEnum;

use crate::script::Script;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Mirrors of every kind: the load of all faults, and healthy without one.
    Mixed,
    /// One mirror is dead among good ones.
    Dead,
    /// One mirror goes and comes.
    Flapping,
    /// Good mirrors, and packages that nobody has asked for before.
    Cold,
}

impl Load {
    /// Its name on the command line.
    pub fn name(self) -> String {
        diag_trial::name(&self)
    }

    /// The mirrors.
    pub(crate) fn scripts(self) -> Vec<Script> {
        use Script::{Failing, Fast, Flapping, Hanging, Slow};
        match self {
            Load::Mixed => vec![Fast, Fast, Slow, Hanging, Failing],
            Load::Dead => vec![Fast, Fast, Failing],
            Load::Flapping => vec![Fast, Fast, Flapping],
            Load::Cold => vec![Fast, Fast, Fast],
        }
    }

    /// A check of each mirror begins so often.
    pub(crate) fn every(self) -> Duration {
        Duration::from_millis(if self == Load::Cold { 30 } else { 60 })
    }
}
