//! What a snapshot shows besides its live tasks: threads that are held up in a poll, and ended tasks
//! that are still held.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_analysis::human;
use diag_analysis::leaf::Waiting;
use diag_analysis::names::NamedStacks;
use diag_snapshot::{SiteIndex, Snapshot};
use serde::Serialize;

/// A thread that is held up in a poll.
#[derive(Serialize)]
pub(super) struct ThreadView {
    pub(super) tid: u32,
    pub(super) name: Option<String>,
    /// Spawn site of the task that it polls.
    pub(super) site: Option<u32>,
    pub(super) location: Option<String>,
    /// The poll has been under way for so long.
    pub(super) poll_ns: Option<u64>,
    /// The service's own line where it is.
    pub(super) at: Option<String>,
    pub(super) watched_ns: Option<u64>,
    pub(super) cpu_ns: Option<u64>,
    pub(super) wait_ns: Option<u64>,
}

pub(super) fn threads(snapshot: &Snapshot) -> Vec<ThreadView> {
    if snapshot.threads.is_empty() {
        return Vec::new();
    }
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let ns = |us: u64| us.saturating_mul(1000);
    let view = |thread: diag_snapshot::ThreadRow| {
        let task = thread.task.and_then(|task| snapshot.task(task));
        let at = thread.stack.and_then(|stack| Waiting::of(names.stack(stack)).nearest().cloned());
        ThreadView {
            tid: thread.tid,
            name: thread.name.map(|name| snapshot.strings.show(name).to_owned()),
            site: task.map(|task| task.site.0),
            location: task.map(|task| human::name(&snapshot.site_location(task.site))),
            poll_ns: task.map(|task| ns(snapshot.capture.to_us.saturating_sub(task.state_since_us()))),
            at: at.map(|at| at.to_string()),
            watched_ns: thread.watched_us.map(ns),
            cpu_ns: thread.cpu_us.map(ns),
            wait_ns: thread.wait_us.map(ns),
        }
    };
    snapshot.threads.iter().map(view).collect()
}

/// The ended tasks of a site that are still held.
#[derive(Default, Serialize)]
pub(super) struct ZombieView {
    pub(super) site: u32,
    pub(super) location: String,
    pub(super) name: String,
    pub(super) tasks: u64,
    pub(super) handles: u64,
    pub(super) wakers: u64,
    /// At least this much memory is kept.
    pub(super) cell_bytes: u64,
    /// The first of them ended so long ago.
    pub(super) longest_ns: u64,
}

/// The site with the most first.
pub(super) fn zombies(snapshot: &Snapshot) -> Vec<ZombieView> {
    let mut sites: BTreeMap<SiteIndex, ZombieView> = BTreeMap::new();
    for zombie in snapshot.zombies.iter() {
        let view = sites.entry(zombie.site).or_default();
        let ended_us = snapshot.capture.to_us.saturating_sub(zombie.ended_us);
        view.tasks += 1;
        view.handles += u64::from(zombie.handles);
        view.wakers += u64::from(zombie.wakers);
        view.cell_bytes = view.cell_bytes.saturating_add(zombie.cell_bytes.unwrap_or(0));
        view.longest_ns = view.longest_ns.max(ended_us.saturating_mul(1000));
    }
    let named = |(site, view): (SiteIndex, ZombieView)| ZombieView {
        site: site.0,
        location: human::name(&snapshot.site_location(site)),
        name: snapshot.site_name(site).to_owned(),
        ..view
    };
    let mut views: Vec<ZombieView> = sites.into_iter().map(named).collect();
    views.sort_by_key(|view| Reverse(view.tasks));
    views
}
