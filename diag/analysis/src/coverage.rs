//! How many of the live tasks the recorder follows.

use std::collections::BTreeMap;

use diag_snapshot::{SiteKind, Snapshot};

/// How many of the live tasks the recorder follows, beside the number that the runtimes count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Tasks that the recorder follows and the runtimes count: not those of a `LocalSet`, blocking
    /// closures and futures inside tasks.
    pub tracked_tasks: u64,
    /// Tasks that the runtimes count; none if there is no runtime or one of them could not be read.
    pub alive_tasks: Option<u64>,
    /// Tasks that came or went between the two counts: they may differ by so many.
    pub churn: u64,
}

impl Coverage {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Coverage {
            tracked_tasks: snapshot.tracked_tasks(),
            alive_tasks: alive_tasks(snapshot),
            churn: snapshot.tracked_churn(),
        }
    }

    /// Returns the tasks of the runtimes that the recorder does not follow: spawned by libraries, or past
    /// `diag::spawn`. At least so many, whatever came and went between the two counts. None if a runtime could
    /// not be read.
    pub fn untracked_tasks(&self) -> Option<u64> {
        Some(self.alive_tasks?.saturating_sub(self.tracked_tasks).saturating_sub(self.churn))
    }

    /// Returns the same, at most so many.
    pub fn untracked_at_most(&self) -> Option<u64> {
        Some(self.alive_tasks?.saturating_add(self.churn).saturating_sub(self.tracked_tasks))
    }

    /// Returns the share of the live tasks that the recorder follows, 0 to 1, if no more are untracked than there are
    /// [at least](Coverage::untracked_tasks); none if it cannot be known.
    pub fn share(&self) -> Option<f64> {
        let all = self.tracked_tasks.saturating_add(self.untracked_tasks()?);
        Some(if all == 0 { 1.0 } else { self.tracked_tasks as f64 / all as f64 })
    }
}

/// The sum over all runtimes, or none if there is no runtime or one does not say.
fn alive_tasks(snapshot: &Snapshot) -> Option<u64> {
    let runtimes = &snapshot.capture.runtimes;
    if runtimes.is_empty() {
        return None;
    }
    runtimes.iter().try_fold(0u64, |sum, runtime| Some(sum.saturating_add(runtime.alive_tasks?)))
}

/// What is tracked besides, and not among the tasks that tokio counts.
pub(crate) fn tracked_besides(snapshot: &Snapshot) -> BTreeMap<SiteKind, u64> {
    let kinds: Vec<Option<SiteKind>> =
        snapshot.sites.iter().map(|site| site.kind.filter(|_| !site.is_counted_by_tokio())).collect();
    let mut counts: BTreeMap<SiteKind, u64> = BTreeMap::new();
    for task in snapshot.tasks.times() {
        if let Some(kind) = kinds.get(task.site.0 as usize).copied().flatten() {
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts
}
