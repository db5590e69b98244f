//! What one snapshot shows without another: tasks that nothing can wake, that were asked to stop,
//! that are polled for long or wake themselves, that outlive their kind, and ended ones that are still held.
//!
//! Tasks without any of this are not listed, so a healthy service costs nothing here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::await_point::AwaitPoint;
use crate::await_points::AwaitPoints;
use crate::cpu_shortage::CpuShortage;
use crate::holding::Holding;
use crate::named_stacks::NamedStacks;
use crate::outlived::{Outlived, outlived};
use crate::overdue::{Overdue, overdue};
use crate::stragglers::{Stragglers, stragglers};
use crate::task_labels::TaskLabels;
use diag_snapshot::{CancelBy, SiteIndex, SiteKind, Snapshot, TaskId, TaskRow, TaskState, ThreadRow};

use crate::Analysis;
use crate::heap_profile::HeapProfile;
use crate::site::{self, Site};

/// Facts about one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Conditions {
    /// When it was taken, microseconds since the Unix epoch.
    pub taken_unix_us: u64,
    /// How long the process had been running.
    pub uptime_us: u64,
    /// Sites at which something is to be told.
    pub sites: Vec<SiteConditions>,
    /// What idle tasks of a site wait for, as far as they were asked: `mpsc recv at src/orders.rs:131`.
    pub waits: BTreeMap<Site, String>,
    /// Tasks that were woken and wait for a worker.
    pub woken: u64,
    /// The longest that one of these has been waiting.
    pub woken_longest_us: u64,
    /// Time since start that the process was kept off the CPUs by its cgroup.
    pub throttled_us: Option<u64>,
    /// Values that live beyond the time by which they were to be dropped.
    pub overdue: Vec<Overdue>,
    /// Members of groups that go on after their group was cancelled.
    pub stragglers: Vec<Stragglers>,
    /// What the sampled heap holds; none if it is not sampled.
    pub heap: Option<Arc<HeapProfile>>,
    /// Who waits for whom, and what keeps memory; empty if the memory was not swept.
    pub holding: Holding,
    /// What the tasks are for that are listed here.
    pub labels: TaskLabels,
}

/// What is to be told of one site.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SiteConditions {
    /// The site.
    pub site: Site,
    /// What is made there.
    pub kind: SiteKind,
    /// Tasks that nothing can wake, as far as seen.
    pub lost: Vec<Lost>,
    /// Tasks that a poll which somebody asked for found ready though nothing had woken them; none without any.
    pub recovered: Option<Recovered>,
    /// Tasks that were asked to stop.
    pub asked: Vec<Asked>,
    /// Tasks that are being polled.
    pub polling: Vec<Polling>,
    /// Tasks that wake themselves more often than others wake them.
    pub spinning: Vec<Spinning>,
    /// Ended tasks that are still held.
    pub zombies: Vec<Zombie>,
    /// Tasks that are idle for many times as long as others of the site live; none without any.
    pub outlived: Option<Outlived>,
}

/// A task that nothing can wake.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Lost {
    /// Which one.
    pub task: TaskId,
    /// For how long it has been idle.
    pub idle_us: u64,
    /// True if it is certain that no poll is owed to it.
    pub proven: bool,
    /// Handles that may still end it; none if not known.
    pub handles: Option<u32>,
    /// Whether its last poll gave its waker to anything: false of `std::future::pending()`. None if that is not known.
    pub waker_taken: Option<bool>,
    /// Where the task was spawned in whose poll its last waker was dropped: `src/hub.rs:86:9`.
    pub displaced_by: Option<String>,
}

/// Tasks that a poll which somebody asked for found ready though nothing had woken them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovered {
    /// So many, since the process started.
    pub tasks: u64,
    /// The wakers that they had, which were not used; none in older files.
    pub wakers: Option<u64>,
    /// The longest that one of them had been idle; none in older files.
    pub idle_us: Option<u64>,
}

/// A task that was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Asked {
    /// Which one.
    pub task: TaskId,
    /// So long ago.
    pub ago_us: u64,
    /// By what.
    pub by: CancelBy,
    /// What it does instead.
    pub state: TaskState,
    /// And since so long ago.
    pub still_us: u64,
}

/// A poll under way.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Polling {
    /// Of which task.
    pub task: TaskId,
    /// For so long.
    pub for_us: u64,
    /// The thread that it holds up, if it was looked at.
    pub thread: Option<ThreadRow>,
    /// The line where that thread is.
    pub at: Option<String>,
    /// True inside of `block_in_place`, which has given the worker's other tasks away.
    pub in_place: bool,
    /// Kernel's id of its thread, if that is known.
    pub tid: Option<u32>,
    /// For so long at most its thread was ready without a CPU meanwhile; none without an earlier snapshot.
    pub without_cpu_us: Option<u64>,
    /// For so long at most any thread was, of this process or of others; none where the kernel does not tell.
    pub cpu_short_us: Option<u64>,
}

/// A task that wakes itself.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spinning {
    /// Which one.
    pub task: TaskId,
    /// Polls a second, since the first snapshot if the task was in it, else since its spawn.
    pub polls_per_s: f64,
    /// Share of these polls that it asked for itself, 0 to 1.
    pub self_share: f64,
}

/// An ended task that is still held.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Zombie {
    /// Spawned so long ago.
    pub spawned_ago_us: u64,
    /// Ended so long ago; at least, if nobody saw that.
    pub ended_ago_us: u64,
    /// False if nobody saw it end, and a snapshot found it ended.
    pub end_seen: bool,
    /// Handles and entries of sets that hold it.
    pub handles: u32,
    /// Wakers that hold it.
    pub wakers: u32,
    /// Handles or wakers besides, which nothing tells apart.
    pub references: u32,
    /// At least this much memory is kept.
    pub cell_bytes: u64,
}

impl Conditions {
    /// The facts of `snapshot`. An earlier one of the same process shows what tasks did since.
    pub fn of(analysis: &Analysis, earlier: Option<&Analysis>) -> Self {
        let snapshot = analysis.snapshot();
        let mut sites: Vec<SiteConditions> = site_rows(snapshot).collect();
        let mut now = Conditions {
            taken_unix_us: snapshot.taken_unix_us(),
            uptime_us: snapshot.capture.to_us,
            throttled_us: snapshot.capture.resources.throttled_us,
            overdue: overdue(snapshot),
            stragglers: stragglers(snapshot, analysis.await_points()),
            heap: analysis.heap().cloned(),
            holding: Holding::of(analysis),
            ..Conditions::default()
        };
        let earlier = earlier.map(Analysis::snapshot);
        let shortage = CpuShortage::of(snapshot, earlier);
        let look = Look { snapshot, earlier, names: &analysis.stacks().named, shortage };
        for task in notable_tasks(snapshot).filter(TaskRow::polls_are_known) {
            if task.state == TaskState::Woken {
                now.woken += 1;
                now.woken_longest_us = now.woken_longest_us.max(look.in_state_us(&task));
            }
            if let Some(site) = sites.get_mut(task.site.0 as usize) {
                look.add_task(site, &task);
            }
        }
        for zombie in snapshot.zombies.iter() {
            if let Some(site) = sites.get_mut(zombie.site.0 as usize) {
                site.zombies.push(Zombie {
                    spawned_ago_us: look.since(zombie.spawned_us),
                    ended_ago_us: look.since(zombie.ended_us),
                    end_seen: zombie.is_end_seen(),
                    handles: zombie.handles,
                    wakers: zombie.wakers,
                    references: zombie.references.unwrap_or(0),
                    cell_bytes: zombie.cell_bytes.unwrap_or(0),
                });
            }
        }
        for (site, outlived) in sites.iter_mut().zip(outlived(snapshot, analysis.await_points())) {
            site.outlived = outlived;
        }
        now.waits = waits(analysis.await_points(), &sites);
        now.sites = sites.into_iter().filter(SiteConditions::has_something).collect();
        let held: Vec<TaskId> = now.holding.tasks().collect();
        now.labels.add(snapshot, now.sites.iter().flat_map(SiteConditions::tasks).chain(held));
        now
    }
}

impl SiteConditions {
    /// The live tasks that something is told of.
    fn tasks(&self) -> impl Iterator<Item = TaskId> {
        let lost = self.lost.iter().map(|lost| lost.task);
        let asked = self.asked.iter().map(|asked| asked.task);
        let polling = self.polling.iter().map(|polling| polling.task);
        let spinning = self.spinning.iter().map(|spinning| spinning.task);
        let outlived = self.outlived.iter().flat_map(|outlived| &outlived.tasks).map(|idle| idle.task);
        lost.chain(asked).chain(polling).chain(spinning).chain(outlived)
    }

    fn has_something(&self) -> bool {
        self.recovered.is_some()
            || !self.lost.is_empty()
            || !self.asked.is_empty()
            || !self.polling.is_empty()
            || !self.spinning.is_empty()
            || !self.zombies.is_empty()
            || self.outlived.is_some()
    }
}

fn site_rows(snapshot: &Snapshot) -> impl Iterator<Item = SiteConditions> {
    site::sites(snapshot).zip(snapshot.sites.iter()).map(|(site, row)| SiteConditions {
        site,
        kind: row.kind.unwrap_or(SiteKind::Task),
        lost: Vec::new(),
        recovered: row.rescued.filter(|&tasks| tasks > 0).map(|tasks| Recovered {
            tasks,
            wakers: row.recovered_wakers,
            idle_us: row.recovered_idle_us,
        }),
        asked: Vec::new(),
        polling: Vec::new(),
        spinning: Vec::new(),
        zombies: Vec::new(),
        outlived: None,
    })
}

/// What [`TaskRow::lost`] is at least for a task of which it is proven.
const PROVEN: u32 = 2;

/// The few tasks that anything can be told of. Whole rows would be read two dozen columns wide.
fn notable_tasks(snapshot: &Snapshot) -> impl Iterator<Item = TaskRow> {
    let tasks = &snapshot.tasks;
    let states = tasks.state().iter().zip(tasks.self_wakes().iter());
    let signs = states.zip(tasks.lost().iter().zip(tasks.cancel_us().iter()));
    let notable = signs.enumerate().filter(|(_, ((state, self_wakes), (lost, cancel_us)))| {
        *state != TaskState::Idle
            || self_wakes.is_some_and(|times| times > 0)
            || lost.is_some()
            || cancel_us.is_some()
    });
    notable.filter_map(|(i, _)| tasks.get(i))
}

fn waits(parked: &AwaitPoints, sites: &[SiteConditions]) -> BTreeMap<Site, String> {
    let of_site = |(i, site): (u32, &SiteConditions)| {
        let answers: Vec<&str> = parked.idle_at(SiteIndex(i)).collect();
        (!answers.is_empty()).then(|| (site.site.clone(), answers.join(" or ")))
    };
    (0..).zip(sites).filter_map(of_site).collect()
}

/// A snapshot with what is asked of it for each task.
struct Look<'a> {
    snapshot: &'a Snapshot,
    earlier: Option<&'a Snapshot>,
    names: &'a NamedStacks,
    shortage: CpuShortage,
}

impl Look<'_> {
    fn since(&self, us: u64) -> u64 {
        self.snapshot.capture.to_us.saturating_sub(us)
    }

    fn in_state_us(&self, task: &TaskRow) -> u64 {
        task.state_since_us().map_or(0, |us| self.since(us))
    }

    fn add_task(&self, site: &mut SiteConditions, task: &TaskRow) {
        if let Some(lost) = task.lost {
            site.lost.push(Lost {
                task: task.id,
                idle_us: task.last_progress_us().map_or(0, |us| self.since(us)),
                proven: lost >= PROVEN,
                handles: task.handles,
                waker_taken: task.waker_taken,
                displaced_by: task.displaced_by_site.map(|site| self.snapshot.site_location(site)),
            });
        }
        if let Some(at_us) = task.cancel_us {
            let by = task.cancel_by.unwrap_or(CancelBy::Unknown);
            let still_us = self.in_state_us(task);
            let (ago_us, state) = (self.since(at_us), task.state);
            site.asked.push(Asked { task: task.id, ago_us, by, state, still_us });
        }
        if task.state == TaskState::Polling {
            site.polling.push(self.polling(task));
        }
        site.spinning.extend(self.spinning(task));
    }

    fn polling(&self, task: &TaskRow) -> Polling {
        let thread = self.snapshot.threads.iter().find(|thread| thread.task == Some(task.id));
        let stack = thread.and_then(|thread| thread.stack);
        let at = stack.and_then(|stack| AwaitPoint::of(self.names.stack(stack)).nearest().cloned());
        let is_in_place =
            |stack| self.names.stack(stack).any(|place| place.function.contains("block_in_place"));
        let for_us = self.in_state_us(task);
        Polling {
            task: task.id,
            for_us,
            thread,
            at: at.map(|at| at.to_string()),
            in_place: stack.is_some_and(is_in_place),
            tid: task.thread,
            without_cpu_us: task.thread.and_then(|tid| self.shortage.of_thread_us(tid, for_us)),
            cpu_short_us: self.shortage.of_any_us(for_us),
        }
    }

    /// `None` of a task that others wake at least as often.
    fn spinning(&self, task: &TaskRow) -> Option<Spinning> {
        let self_wakes = task.self_wakes.filter(|wakes| wakes.saturating_mul(2) > task.polls)?;
        let before = self.earlier.and_then(|earlier| Some((earlier, earlier.task(task.id)?)));
        let (polls, own, from_us) = match before {
            Some((earlier, was)) => (was.polls, was.self_wakes.unwrap_or(0), earlier.capture.to_us),
            None => (0, 0, task.spawned_us),
        };
        let polls = task.polls.saturating_sub(polls) as f64;
        let seconds = self.since(from_us) as f64 / 1e6;
        (polls > 0.0 && seconds > 0.0).then(|| Spinning {
            task: task.id,
            polls_per_s: polls / seconds,
            self_share: (self_wakes.saturating_sub(own) as f64 / polls).min(1.0),
        })
    }
}
