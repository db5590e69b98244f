//! What tasks wait for.

use std::collections::BTreeMap;

use super::fact::facts;

facts! {
    /// What tasks wait for.
    #[non_exhaustive]
    pub enum Wait {
        /// All of those that were asked wait there: `mpsc recv at src/orders.rs:131`.
        All { at: String },
        /// Most of those that were asked wait there.
        Most { at: String, tasks: u64, asked: u64 },
    }
}

impl Wait {
    /// Returns what most of those that were asked wait for, of their number by that; none if none was asked.
    pub(super) fn of_most<T: AsRef<str>>(waits: &BTreeMap<T, u64>) -> Option<Self> {
        let asked = waits.values().sum();
        let (at, &tasks) = waits.iter().max_by_key(|(_, tasks)| **tasks)?;
        let at = at.as_ref().to_owned();
        Some(if tasks == asked { Wait::All { at } } else { Wait::Most { at, tasks, asked } })
    }

    /// Returns what and where that is.
    pub fn at(&self) -> &str {
        match self {
            Wait::All { at } | Wait::Most { at, .. } => at,
        }
    }
}
