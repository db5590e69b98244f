//! What a guard leaves out.

use std::collections::HashSet;

use super::found::{Found, Names};

/// See [`LeakGuard`](super::LeakGuard), whose methods say what each rule compares.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    pub(super) sites: Vec<String>,
    pub(super) types: Vec<String>,
    pub(super) stacks: Vec<String>,
    pub(super) names: Vec<String>,
    /// Ids of tasks and of what is in use, births of blocks of the census.
    pub(super) running: HashSet<u64>,
}

impl Ignored {
    pub(super) fn has(&self, found: &Found) -> bool {
        let Names { site, type_name, name, functions } = &found.names;
        let is_part = |parts: &[String], whole: &str| parts.iter().any(|part| whole.contains(part.as_str()));
        is_part(&self.sites, site)
            || is_part(&self.types, type_name)
            || functions.iter().any(|function| is_part(&self.stacks, function))
            || self.names.contains(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.sites, &self.types, &self.stacks, &self.names].iter().all(|rules| rules.is_empty())
    }
}
