//! What a test has acquired and not given back.

use std::collections::HashSet;

use super::found::{Found, Names};
use super::leak::{LeakKind, What};
use crate::current::CurrentTask;
use crate::resource::{self, Kind, Open};
use crate::task::lineage;

/// What the tree of a test has in use, its body and tasks that descend from it, beyond what was in use before.
pub(super) fn left(root: CurrentTask, running: &HashSet<u64>) -> Vec<Found> {
    let open = resource::open();
    if open.is_empty() {
        return Vec::new();
    }
    lineage::with_members(root, |is_member| {
        let is_left = |(id, open): &(u64, Open)| {
            // A value that is counted may be what the test is to leave; what it has acquired may not.
            open.place.kind == Kind::InUse
                && open.is_in_use()
                && !running.contains(id)
                && open.holder.id().is_some_and(is_member)
        };
        open.iter().filter(|open| is_left(open)).map(|(_, open)| found(open, root)).collect()
    })
}

/// The ids of all that is in use.
pub(super) fn ids() -> impl Iterator<Item = u64> {
    resource::open().into_iter().map(|(id, _)| id)
}

fn found(open: &Open, root: CurrentTask) -> Found {
    let (one, several) = ("resource in use", "resources in use");
    let site = open.place.location.to_string();
    let line = if open.holder == root { "by the test itself" } else { "by a task of the test" };
    Found {
        kind: LeakKind::InUse,
        what: What { one, several, rest: format!(", {:?}, acquired at {site}", open.place.name) },
        lines: vec![line.to_owned()],
        names: Names { site, name: open.place.name.to_owned(), ..Names::default() },
    }
}
