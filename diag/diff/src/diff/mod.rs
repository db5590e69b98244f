//! The facts: what is different between two snapshots, without an opinion.
//!
//! Two snapshots of one process are joined by task id and by birth number; two processes of one
//! service only by what the source code calls things. Nothing is judged here.

mod heap;
mod merge;
mod sites;
mod tasks;

use std::fmt;

use diag_analysis::memory::Split;
use diag_analysis::names::{Unnamed, unnamed};
use diag_snapshot::Snapshot;

pub use diag_analysis::ages::Ages;
pub use diag_analysis::holdings::{FunctionHoldings, Holdings, Live, TaskSiteHoldings, Turnover};
pub use diag_analysis::now::{Asked, Lost, Now, Polling, Recovered, SiteNow, Spinning, Zombie};
pub use diag_analysis::site::{Site, Totals};
pub use heap::{Growth, HeapDiff, HeapSiteDiff, Overdue};
pub use tasks::{Cohort, Moves, SiteDiff, SiteSide, Spread, TaskDiff};

/// What changed between two snapshots. Numbers of `before` and `after` swap places when the
/// snapshots do; [`now`](Diff::now) is about the second alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// Name of the service, the same in both.
    pub service: String,
    /// True if both are of one process, so that tasks can be followed by id.
    pub same_process: bool,
    /// The first snapshot.
    pub before: Side,
    /// The second snapshot.
    pub after: Side,
    /// From the first to the second, microseconds; negative if they were given in reverse.
    pub window_us: i64,
    /// Tasks by spawn site.
    pub tasks: TaskDiff,
    /// The sampled heap; none unless both have one.
    pub heap: Option<HeapDiff>,
    /// What the second snapshot shows by itself.
    pub now: Now,
    /// What the tasks were measured with.
    pub options: Options,
}

/// Facts about one of the two snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Operating system's process id.
    pub pid: u32,
    /// When it was taken, microseconds since the Unix epoch.
    pub taken_unix_us: u64,
    /// How long the process had been running.
    pub uptime_us: u64,
    /// Tasks that the recorder follows and the runtimes count: not those of a `LocalSet`, blocking
    /// closures and futures inside tasks.
    pub tracked_tasks: u64,
    /// Tasks that the runtimes count; none if one of them could not be read.
    pub alive_tasks: Option<u64>,
    /// Tasks that came or went between the two counts: they may differ by so many.
    pub tracked_churn: u64,
    /// True if the service was built without optimisation.
    pub debug_build: bool,
    /// True if the heap was sampled.
    pub has_heap: bool,
    /// Where its resident memory is, if that is known.
    pub split: Option<Split>,
    /// Modules whose functions are not known by name.
    pub unnamed: Vec<Unnamed>,
    /// What the recorder dropped or skipped since start, in a sentence each.
    pub not_recorded: Vec<String>,
}

/// The two numbers that the facts depend on. They come from the policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// A task is stale after resting for so many usual lifetimes of its site.
    pub stale_factor: f64,
    /// A site has a usual lifetime once so many of its tasks ended.
    pub min_ended: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { stale_factor: 3.0, min_ended: 20 }
    }
}

/// Why two snapshots cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotComparable {
    /// They are of different services.
    Service {
        /// Service of the first.
        before: String,
        /// Service of the second.
        after: String,
    },
}

impl fmt::Display for NotComparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotComparable::Service { before, after } => write!(
                f,
                "the snapshots are of two services, `{}` and `{}`: give two of the same one",
                before.escape_debug(),
                after.escape_debug()
            ),
        }
    }
}

impl std::error::Error for NotComparable {}

/// [`diff_with`] the default [`Options`].
pub fn diff(before: &Snapshot, after: &Snapshot) -> Result<Diff, NotComparable> {
    diff_with(before, after, Options::default())
}

/// Compares two snapshots of one service. Fails if they are of different services.
pub fn diff_with(before: &Snapshot, after: &Snapshot, options: Options) -> Result<Diff, NotComparable> {
    if before.process.service != after.process.service {
        return Err(NotComparable::Service {
            before: before.process.service.clone(),
            after: after.process.service.clone(),
        });
    }
    let same_process = before.process.instance == after.process.instance;
    let window_us = window_us(before, after, same_process);
    let join = sites::join(before, after, same_process);
    let tasks = tasks::diff(before, after, same_process, &join, window_us.unsigned_abs(), options);
    let now = Now::of(after, same_process.then_some(before));
    Ok(Diff {
        service: after.process.service.clone(),
        same_process,
        before: side(before),
        after: side(after),
        window_us,
        heap: heap::diff(before, after, now.heap.as_ref(), same_process, &join, &tasks, options),
        tasks,
        now,
        options,
    })
}

impl Side {
    /// Tasks of the runtimes that the recorder does not follow: spawned by libraries, or past
    /// `diag::spawn`. At least so many, whatever came and went between the two counts. None if a runtime could
    /// not be read.
    pub fn untracked_tasks(&self) -> Option<u64> {
        Some(self.alive_tasks?.saturating_sub(self.tracked_tasks).saturating_sub(self.tracked_churn))
    }

    /// The same, at most so many.
    pub fn untracked_at_most(&self) -> Option<u64> {
        Some(self.alive_tasks?.saturating_add(self.tracked_churn).saturating_sub(self.tracked_tasks))
    }

    /// Share of the live tasks that the recorder follows, 0 to 1, if no more are untracked than there are
    /// [at least](Side::untracked_tasks); none if it cannot be known.
    pub fn coverage(&self) -> Option<f64> {
        let all = self.tracked_tasks.saturating_add(self.untracked_tasks()?);
        Some(if all == 0 { 1.0 } else { self.tracked_tasks as f64 / all as f64 })
    }
}

/// Within one process its own clock counts, which no time server corrects.
fn window_us(before: &Snapshot, after: &Snapshot, same_process: bool) -> i64 {
    let (from, to) = if same_process {
        (before.capture.to_us, after.capture.to_us)
    } else {
        (before.taken_unix_us(), after.taken_unix_us())
    };
    i64::try_from(to.abs_diff(from)).unwrap_or(i64::MAX) * if to < from { -1 } else { 1 }
}

fn side(snapshot: &Snapshot) -> Side {
    Side {
        pid: snapshot.process.pid,
        taken_unix_us: snapshot.taken_unix_us(),
        uptime_us: snapshot.capture.to_us,
        tracked_tasks: snapshot.tracked_tasks(),
        alive_tasks: alive_tasks(snapshot),
        tracked_churn: snapshot.tracked_churn(),
        debug_build: snapshot.process.debug_build,
        has_heap: snapshot.heap.is_some(),
        split: Split::of(snapshot),
        unnamed: unnamed(snapshot),
        not_recorded: diag_analysis::not_recorded(&snapshot.capture).collect(),
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
