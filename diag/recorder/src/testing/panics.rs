//! Tasks of a test that panicked, of which nobody was told: what they were to check was not checked.

use std::collections::HashSet;

use super::found::{Found, Names};
use super::leak::{LeakKind, What};
use super::tasks::Sites;
use crate::current::CurrentTask;
use crate::task::lineage;

/// Those of the test.
pub(super) fn left(root: CurrentTask, running: &HashSet<u64>) -> Vec<Found> {
    let mut panicked = lineage::unobserved_panics(root);
    panicked.retain(|task| task.id().is_none_or(|id| !running.contains(&id)));
    if panicked.is_empty() {
        return Vec::new();
    }
    let sites = Sites::all();
    panicked.into_iter().map(|task| found(task, &sites)).collect()
}

/// The ids of those that panicked so far.
pub(super) fn ids(root: CurrentTask) -> impl Iterator<Item = u64> {
    lineage::unobserved_panics(root).into_iter().filter_map(CurrentTask::id)
}

fn found(task: CurrentTask, sites: &Sites) -> Found {
    let site = sites.of(task);
    let spawned_at =
        site.map_or_else(|| "a place that is not known".to_owned(), |site| site.location.to_string());
    let type_name = site.map(|site| site.code.type_name().to_owned()).unwrap_or_default();
    Found {
        kind: LeakKind::Panicked,
        what: What {
            one: "task panicked, and nobody was told,",
            several: "tasks panicked, and nobody was told,",
            rest: format!(" spawned at {spawned_at}"),
        },
        lines: Vec::from_iter(site.map(|_| type_name.clone())),
        names: Names { site: spawned_at, type_name, ..Names::default() },
    }
}
