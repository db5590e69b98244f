//! One thing that is left, with all that it can be ignored by.

use super::leak::{Leak, LeakKind, What};

/// See the module.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: LeakKind,
    pub(super) what: What,
    pub(super) lines: Vec<String>,
    pub(super) names: Names,
}

/// What it is known by. What it has not is empty.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `src/orders.rs:40:9`, or without the column where a stack tells it.
    pub(super) site: String,
    pub(super) type_name: String,
    pub(super) name: String,
    /// The functions of its stacks.
    pub(super) functions: Vec<String>,
}

impl Names {
    /// What a user would ignore it by.
    fn key(&self) -> String {
        [&self.site, &self.name].into_iter().find(|key| !key.is_empty()).cloned().unwrap_or_default()
    }
}

/// Those that differ in nothing as one, in the order of kinds.
pub(super) fn grouped(found: Vec<Found>) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = Vec::new();
    for Found { kind, what, lines, names } in found {
        let same =
            leaks.iter_mut().find(|leak| leak.kind == kind && leak.what == what && leak.lines == lines);
        match same {
            Some(leak) => leak.count += 1,
            None => leaks.push(Leak { kind, count: 1, what, lines, key: names.key() }),
        }
    }
    leaks.sort_by_key(|leak| leak.kind);
    leaks
}
