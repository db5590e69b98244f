//! The facts: what is different between two snapshots, without an opinion.
//!
//! Two snapshots of one process are joined by task id and by birth number; two processes of one
//! service only by what the source code calls things. Nothing is judged here.

mod blocking;
mod busy;
mod cpu;
mod ending;
mod giving;
mod heap;
mod likeness;
mod memory_room;
mod poll_times;
mod resources;
mod sites;
mod stack_flows;
mod tasks;

use std::collections::BTreeMap;
use std::fmt;

use diag_analysis::gauge::Gauge;
use diag_analysis::memory_breakdown::MemoryBreakdown;
use diag_analysis::source_location::SourceLocation;
use diag_analysis::unnamed::{Unnamed, unnamed};
use diag_analysis::views::{Memory, MemoryLimitView};
use diag_analysis::{Analysis, Coverage};
use diag_snapshot::{ExpectedRatio, Micros, Snapshot};

pub use blocking::BlockingPool;
pub use busy::BusyTask;
pub use cpu::{CpuUse, ThreadUse};
pub use diag_analysis::conditions::{
    Asked, Conditions, Lost, Polling, Recovered, SiteConditions, Spinning, Zombie,
};
pub use diag_analysis::heap_profile::{AllocStats, FunctionProfile, HeapProfile, Live, TaskSiteProfile};
pub use diag_analysis::lifetimes::Lifetimes;
pub use diag_analysis::outlived::{AskedTask, IdleTask, Outlived};
pub use diag_analysis::site::{Site, Totals};
pub use ending::Ending;
pub use giving::{Giving, GivingTask};
pub use heap::{Growth, HeapDiff, HeapSiteDiff, Overdue};
pub use likeness::Likeness;
pub use memory_room::MemoryRoom;
pub use poll_times::PollTimes;
pub use resources::{ResourceDiff, ResourceSide};
pub use stack_flows::{StackFlow, StackFlows};
pub use tasks::{Births, Cohort, Moves, Older, SiteDiff, SiteSide, Spread, TaskDiff};

/// What changed between two snapshots. Numbers of `before` and `after` swap places when the
/// snapshots do; [`now`](Diff::now) is about the second alone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
    /// Tasks that took much of a CPU, the busiest first; empty for two processes.
    pub busy: Vec<BusyTask>,
    /// How long polls took; none for two processes.
    pub polls: Option<PollTimes>,
    /// What it used of the CPUs; none for two processes, or if that is not known.
    pub cpu: Option<CpuUse>,
    /// Tasks that wait in both for what another part of the service has or is to answer; empty for two processes.
    pub giving: Vec<Giving>,
    /// Tasks that wait in both for the end of one that they spawned; empty for two processes.
    pub ending: Vec<Ending>,
    /// The threads for blocking work, if closures wait for one while others hold them.
    pub blocking: Option<BlockingPool>,
    /// Sockets and channels by where they were opened; empty for two processes.
    pub resources: Vec<ResourceDiff>,
    /// How alike the two processes are; none for one.
    pub likeness: Option<Likeness>,
    /// What the second snapshot shows by itself.
    pub now: Conditions,
    /// What the tasks were measured with.
    pub options: Options,
}

/// Facts about one of the two snapshots.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Side {
    /// Operating system's process id.
    pub pid: u32,
    /// When it was taken, microseconds since the Unix epoch.
    pub taken_unix_us: u64,
    /// How long the process had been running.
    pub uptime_us: u64,
    /// How many of the live tasks the recorder follows.
    pub tasks: Coverage,
    /// True if the service was built without optimisation.
    pub debug_build: bool,
    /// True if the heap was sampled.
    pub has_heap: bool,
    /// How much it has in use, as far as that is known.
    pub gauges: BTreeMap<Gauge, u64>,
    /// How many tasks the service expects for each of what a gauge counts.
    pub expected_ratios: Vec<ExpectedRatio>,
    /// Open file descriptors, if that is known.
    pub open_files: Option<u64>,
    /// How many there may be, if there is a limit and it is known.
    pub open_files_limit: Option<u64>,
    /// Where its resident memory is, if that is known.
    pub split: Option<MemoryBreakdown>,
    /// The same for people.
    pub memory: Option<Memory>,
    /// How much memory the process may use, if there is a limit and it is known.
    pub memory_limit: Option<MemoryLimitView>,
    /// Modules whose functions are not known by name.
    pub unnamed: Vec<Unnamed>,
    /// What the recorder dropped or skipped since start, in a sentence each.
    pub not_recorded: Vec<String>,
}

/// The numbers that the facts depend on. They come from the policy.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// A task is stale after resting for so many usual lifetimes of its site.
    pub stale_factor: f64,
    /// A site has a usual lifetime once so many of its tasks ended.
    pub min_ended: u64,
    /// What the process is meant to have resident at most, if somebody says so.
    pub memory_budget_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { stale_factor: 3.0, min_ended: 20, memory_budget_bytes: None }
    }
}

/// Why two snapshots cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
pub fn diff(before: &Analysis, after: &Analysis) -> Result<Diff, NotComparable> {
    diff_with(before, after, Options::default())
}

/// Compares two snapshots of one service. Fails if they are of different services.
pub fn diff_with(before: &Analysis, after: &Analysis, options: Options) -> Result<Diff, NotComparable> {
    let (was, is) = (&before.snapshot().process, &after.snapshot().process);
    if was.service != is.service {
        return Err(NotComparable::Service { before: was.service.clone(), after: is.service.clone() });
    }
    let same_process = was.instance == is.instance;
    let window_us = window_us(before.snapshot(), after.snapshot(), same_process);
    let join = sites::join(before.snapshot(), after.snapshot(), same_process);
    let mut now = Conditions::of(after, same_process.then_some(before));
    let busy = if same_process { busy::busy(before, after) } else { Vec::new() };
    let giving = if same_process { giving::giving(before, after, &join, options) } else { Vec::new() };
    let ending = if same_process { ending::ending(before, after, &join) } else { Vec::new() };
    let giving_tasks = giving.iter().flat_map(|giving| &giving.tasks).map(|task| task.task);
    let told = busy.iter().map(|task| task.task).chain(giving_tasks).chain(ending.iter().map(|one| one.task));
    now.labels.add(after.snapshot(), told);
    let tasks = tasks::diff(before, after, same_process, &join, window_us.unsigned_abs(), options);
    Ok(Diff {
        service: is.service.clone(),
        same_process,
        before: side(before),
        after: side(after),
        window_us,
        heap: heap::diff(before, after, same_process, &join, &tasks, options),
        likeness: (!same_process).then(|| Likeness::of(before, after, &tasks)),
        tasks,
        busy,
        polls: same_process.then(|| poll_times::poll_times(before.snapshot(), after.snapshot(), &join)),
        cpu: if same_process { cpu::cpu(before, after) } else { None },
        giving,
        ending,
        resources: if same_process { resources::resources(before, after, options) } else { Vec::new() },
        blocking: if same_process { blocking::blocking(before, after, &now) } else { None },
        now,
        options,
    })
}

impl Diff {
    /// Returns a function of the second snapshot as this diff knows it: without its line if two processes were
    /// compared, as lines move from build to build.
    pub fn function(&self, place: &SourceLocation) -> SourceLocation {
        heap::joined(place.clone(), self.same_process)
    }
}

impl Diff {
    /// Returns the time between the snapshots, in whichever order they were given.
    pub fn window(&self) -> Micros {
        Micros(self.window_us.unsigned_abs())
    }

    /// Returns how fast so much came to be from the first snapshot to the second; none of two processes, or in reverse.
    pub fn rate_per_s(&self, grown: f64) -> Option<f64> {
        (self.same_process && self.window_us > 0).then(|| grown * 1e6 / self.window_us as f64)
    }
}

impl Side {
    /// See [`Coverage::untracked_tasks`].
    pub fn untracked_tasks(&self) -> Option<u64> {
        self.tasks.untracked_tasks()
    }

    /// See [`Coverage::untracked_at_most`].
    pub fn untracked_at_most(&self) -> Option<u64> {
        self.tasks.untracked_at_most()
    }

    /// See [`Coverage::share`].
    pub fn coverage(&self) -> Option<f64> {
        self.tasks.share()
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

fn side(analysis: &Analysis) -> Side {
    let snapshot = analysis.snapshot();
    Side {
        pid: snapshot.process.pid,
        taken_unix_us: snapshot.taken_unix_us(),
        uptime_us: snapshot.capture.to_us,
        tasks: analysis.coverage(),
        debug_build: snapshot.process.debug_build,
        has_heap: snapshot.heap.is_some(),
        gauges: Gauge::all(snapshot),
        expected_ratios: snapshot.capture.expected_ratios.clone(),
        open_files: snapshot.capture.resources.open_fds,
        open_files_limit: snapshot.capture.resources.open_fds_limit,
        split: analysis.memory().cloned(),
        memory: analysis.memory_view(),
        memory_limit: analysis.memory_limit_view(),
        unnamed: unnamed(snapshot),
        not_recorded: diag_analysis::not_recorded(&snapshot.capture).collect(),
    }
}
