//! The threads for blocking work, when closures hold them and others wait for one.

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::conditions::Conditions;
use diag_analysis::site::sites;
use diag_snapshot::{SiteKind, TaskState};

use super::Site;

/// Closures for the blocking threads that neither ended nor began between two snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BlockingPool {
    /// Running since before the first snapshot, by spawn site.
    pub held: BTreeMap<Site, u64>,
    /// Where those of them are whose thread was looked at, and how many are there.
    pub at: BTreeMap<String, u64>,
    /// Waiting for a thread.
    pub waiting: u64,
    /// Those that waited already in the first snapshot and still do.
    pub waited_on: u64,
    /// The first of them waits for so long, microseconds.
    pub longest_wait_us: u64,
    /// Closures that began in between: some thread is free now and then.
    pub began: u64,
}

/// Of two snapshots of one process; none if no closure is held up.
pub(super) fn blocking(before: &Analysis, after: &Analysis, now: &Conditions) -> Option<BlockingPool> {
    let (was, is) = (before.snapshot(), after.snapshot());
    let kinds: Vec<Option<SiteKind>> = is.sites.iter().map(|site| site.kind).collect();
    if !kinds.contains(&Some(SiteKind::Blocking)) {
        return None;
    }
    let names: Vec<Site> = sites(is).collect();
    let mut pool = BlockingPool::default();
    for task in is.tasks.times() {
        let place = task.site.0 as usize;
        if kinds.get(place) != Some(&Some(SiteKind::Blocking)) {
            continue;
        }
        let waited_us = is.capture.to_us.saturating_sub(task.spawned.0);
        match task.state {
            TaskState::NeverPolled => {
                pool.waiting += 1;
                pool.waited_on += u64::from(waited_us >= is.capture.to_us.saturating_sub(was.capture.to_us));
                pool.longest_wait_us = pool.longest_wait_us.max(waited_us);
            }
            TaskState::Polling if task.last_poll.is_some_and(|since| since.0 <= was.capture.to_us) => {
                *pool.held.entry(names[place].clone()).or_default() += 1;
            }
            _ => pool.began += 1,
        }
    }
    for site in now.sites.iter().filter(|site| site.kind == SiteKind::Blocking) {
        for at in site.polling.iter().filter_map(|polling| polling.at.as_ref()) {
            *pool.at.entry(at.clone()).or_default() += 1;
        }
    }
    (!pool.held.is_empty() && pool.waiting > 0).then_some(pool)
}
