//! What a sweep tells of tasks that wait, as facts: cycles, waits that nothing ends, futures that nobody polls, holders with those
//! behind them, and what keeps memory.
//!
//! All of it is empty of a snapshot whose memory was not swept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diag_snapshot::{Snapshot, StackIndex, TaskId, WaitFor};

use crate::Analysis;
use crate::holders::retainers::Retainers;
use crate::holders::{By, Certainty, Holders, Link, Wait};
use crate::site::{Site, sites};
use crate::source_location::SourceLocation;

/// What a sweep tells.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Holding {
    /// Tasks that wait for each other.
    pub cycles: Vec<WaitCycle>,
    /// Tasks, outside of cycles and not behind others, that nothing which runs can wake.
    pub unreachable: Vec<Unreachable>,
    /// Futures inside of tasks that nobody polls, at the head of a queue.
    pub left: Vec<LeftBranch>,
    /// Who has what others wait for, and could go on.
    pub holders: Vec<HolderOfWaiters>,
    /// What keeps the sampled blocks of each function, as far as that is known.
    pub retained: BTreeMap<SourceLocation, Retainers>,
}

/// A task that waits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WaitingTask {
    /// Which one.
    pub task: TaskId,
    /// Where it was spawned.
    pub site: Site,
    /// For how long it has not been polled.
    pub idle_us: u64,
    /// Where it waits, if that is known: `Mutex at src/orders.rs:34`.
    pub at: Option<String>,
    /// What it waits in: `lock made at src/orders.rs:12`.
    pub what: Option<String>,
    /// Handles that may end it; none if that is not known.
    pub handles: Option<u32>,
}

/// Tasks behind what others do not do, by where they were spawned.
pub type Behind = BTreeMap<Site, Vec<TaskId>>;

/// Tasks that wait for each other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WaitCycle {
    /// Each with the one that it waits for behind it.
    pub members: Vec<WaitingTask>,
    /// Those that wait for one of them.
    pub behind: Behind,
    /// How sure that is.
    pub certainty: Certainty,
    /// True if each waits for what one alone can give.
    pub is_exclusive: bool,
}

/// A task that nothing which runs can wake.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unreachable {
    /// Which one.
    pub task: WaitingTask,
    /// Those that wait for it.
    pub behind: Behind,
    /// How sure that is.
    pub certainty: Certainty,
}

/// A future inside of a task that nobody polls, at the head of a queue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeftBranch {
    /// The task, and where it waits now.
    pub task: WaitingTask,
    /// What the future waits in.
    pub what: String,
    /// True if it was given all that it waits for.
    pub is_granted: bool,
    /// True if its own task cannot go on without what it was given.
    pub blocks_itself: Option<Certainty>,
    /// Those behind it, without its own task.
    pub behind: Behind,
    /// The shortest time that one of these has not been polled.
    pub behind_idle_us: Option<u64>,
}

/// A task that has what others wait for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HolderOfWaiters {
    /// The task, and where it waits itself.
    pub task: WaitingTask,
    /// What it has.
    pub what: String,
    /// How sure it is that it is this one.
    pub certainty: Certainty,
    /// So many others may have it as well.
    pub others: u64,
    /// Those that wait for it, directly or not.
    pub behind: Behind,
}

impl Holding {
    pub(crate) fn of(analysis: &Analysis) -> Self {
        let Some(holders) = analysis.holders() else { return Holding::default() };
        let facts = Facts { analysis, holders, sites: sites(analysis.snapshot()).collect() };
        let cycles: Vec<WaitCycle> = facts.cycles();
        let left = facts.left();
        let of_cycles: BTreeSet<TaskId> = cycles.iter().flat_map(WaitCycle::tasks).collect();
        let unreachable = facts.unreachable(&of_cycles);
        let told: BTreeSet<TaskId> =
            of_cycles.into_iter().chain(unreachable.iter().flat_map(Unreachable::tasks)).collect();
        let holders = facts.holders(&told, &left);
        Holding { cycles, unreachable, left, holders, retained: retained(analysis) }
    }

    /// Returns all tasks that something is told of, those behind them included.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        let cycles = self.cycles.iter().flat_map(WaitCycle::tasks);
        let unreachable = self.unreachable.iter().flat_map(Unreachable::tasks);
        let left =
            self.left.iter().flat_map(|left| [left.task.task].into_iter().chain(tasks_of(&left.behind)));
        let holders =
            self.holders.iter().flat_map(|held| [held.task.task].into_iter().chain(tasks_of(&held.behind)));
        cycles.chain(unreachable).chain(left).chain(holders)
    }

    /// Returns the holder of what this task waits for, if that is known.
    pub fn holder_of(&self, task: TaskId) -> Option<&HolderOfWaiters> {
        self.holders.iter().find(|holder| tasks_of(&holder.behind).any(|behind| behind == task))
    }

    /// Returns true if this task waits for what is told of as a cycle, as a future that nobody polls, or as a wait that nothing ends.
    pub fn is_behind(&self, task: TaskId) -> bool {
        let cycles = self.cycles.iter().flat_map(WaitCycle::tasks);
        let left = self.left.iter().flat_map(|left| tasks_of(&left.behind));
        let unreachable = self.unreachable.iter().flat_map(|unreachable| tasks_of(&unreachable.behind));
        cycles.chain(left).chain(unreachable).any(|behind| behind == task)
    }
}

/// Returns the tasks of all sites.
pub fn tasks_of(behind: &Behind) -> impl Iterator<Item = TaskId> + '_ {
    behind.values().flatten().copied()
}

impl WaitCycle {
    /// Returns its members and those behind them.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.members.iter().map(|member| member.task).chain(tasks_of(&self.behind))
    }
}

impl Unreachable {
    /// Returns it and those behind it.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        [self.task.task].into_iter().chain(tasks_of(&self.behind))
    }
}

struct Facts<'a> {
    analysis: &'a Analysis,
    holders: &'a Holders,
    sites: Vec<Site>,
}

impl Facts<'_> {
    fn snapshot(&self) -> &Snapshot {
        self.analysis.snapshot()
    }

    fn waiting(&self, id: TaskId) -> Option<WaitingTask> {
        let task = self.snapshot().task(id)?;
        let at = self.analysis.await_points().of(&task).map(str::to_owned);
        let is_open = |wait: &&Wait| wait.touched != Some(false) && !wait.is_granted();
        let what = self.holders.waits_of(id).find(is_open).map(|wait| self.what(wait));
        Some(WaitingTask {
            task: id,
            site: self.sites.get(task.site.0 as usize)?.clone(),
            idle_us: task.last_progress_us().map_or(0, |us| self.snapshot().capture.to_us.saturating_sub(us)),
            at,
            what,
            handles: task.handles,
        })
    }

    fn what(&self, wait: &Wait) -> String {
        self.analysis.node_name(wait.node)
    }

    fn behind(&self, tasks: impl IntoIterator<Item = TaskId>) -> Behind {
        let mut behind = Behind::new();
        for id in tasks {
            let site = self.snapshot().task(id).and_then(|task| self.sites.get(task.site.0 as usize));
            if let Some(site) = site {
                behind.entry(site.clone()).or_default().push(id);
            }
        }
        behind
    }

    fn cycles(&self) -> Vec<WaitCycle> {
        let cycles = self.holders.cycles().iter().map(|cycle| WaitCycle {
            members: cycle.members.iter().filter_map(|&task| self.waiting(task)).collect(),
            behind: self.behind(cycle.behind.iter().copied()),
            certainty: cycle.certainty,
            is_exclusive: cycle.is_exclusive,
        });
        cycles.filter(|cycle| !cycle.members.is_empty()).collect()
    }

    /// Each is told once: with the one that it waits for, if that cannot go on either.
    fn unreachable(&self, told: &BTreeSet<TaskId>) -> Vec<Unreachable> {
        let mut behind: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
        let mut roots = Vec::new();
        for (task, never) in self.holders.never().filter(|(task, _)| !told.contains(task)) {
            let links = self.holders.chain(task);
            let last = links.last().map(|link| link.holder);
            match last.filter(|last| *last != task && self.holders.is_never(*last).is_some()) {
                Some(root) => behind.entry(root).or_default().push(task),
                None => roots.push((task, never.certainty)),
            }
        }
        let unreachable = roots.into_iter().filter_map(|(task, certainty)| {
            let behind = self.behind(behind.remove(&task).unwrap_or_default());
            let waits = self.holders.waits_of(task).next().is_some();
            // Of one that has no waker at all another rule tells; with those behind it this one does.
            let is_told_here = waits || !behind.is_empty();
            Some(Unreachable { task: self.waiting(task)?, behind, certainty }).filter(|_| is_told_here)
        });
        unreachable.collect()
    }

    fn left(&self) -> Vec<LeftBranch> {
        let left = self.holders.branches().iter().filter_map(|branch| {
            let others = branch.behind.iter().copied().filter(|task| *task != branch.task);
            let others: Vec<TaskId> = others.collect();
            let idle = others.iter().filter_map(|&task| self.waiting(task)).map(|task| task.idle_us);
            Some(LeftBranch {
                task: self.waiting(branch.task)?,
                what: self.what(&branch.wait),
                is_granted: branch.is_granted,
                blocks_itself: self.holders.is_never(branch.task).map(|never| never.certainty),
                behind_idle_us: idle.min(),
                behind: self.behind(others),
            })
        });
        left.collect()
    }

    /// By holder, the one with the most behind it first.
    fn holders(&self, told: &BTreeSet<TaskId>, left: &[LeftBranch]) -> Vec<HolderOfWaiters> {
        let is_left = |task: TaskId| left.iter().any(|left| left.task.task == task);
        let waiting: BTreeSet<TaskId> = self.holders.waits().iter().map(|wait| wait.task).collect();
        let mut found: BTreeMap<TaskId, (Link, Vec<TaskId>)> = BTreeMap::new();
        for task in waiting.into_iter().filter(|task| !told.contains(task)) {
            // Who waits for an end has not been kept from anything.
            let links =
                self.holders.chain(task).into_iter().take_while(|link| link.wait_for != WaitFor::Join);
            let Some(last) = links.last().filter(|link| link.holder != task) else { continue };
            if !told.contains(&last.holder) && !is_left(last.holder) {
                found.entry(last.holder).or_insert_with(|| (last, Vec::new())).1.push(task);
            }
        }
        let mut holders: Vec<HolderOfWaiters> = found
            .into_iter()
            .filter_map(|(holder, (link, behind))| {
                let is_sure = link.others == 0 && matches!(link.by, By::Guard | By::Granted | By::Ending);
                Some(HolderOfWaiters {
                    task: self.waiting(holder)?,
                    what: self.analysis.node_name(link.node),
                    certainty: if is_sure { Certainty::Likely } else { Certainty::Possible },
                    others: link.others,
                    behind: self.behind(behind),
                })
            })
            .collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(tasks_of(&holder.behind).count()));
        holders
    }
}

/// What keeps the blocks of each function that a sweep has asked for.
fn retained(analysis: &Analysis) -> BTreeMap<SourceLocation, Retainers> {
    let Some(heap) = analysis.snapshot().heap.as_ref() else { return BTreeMap::new() };
    let mut places: HashMap<StackIndex, SourceLocation> = HashMap::new();
    let mut of_place: BTreeMap<SourceLocation, Vec<u64>> = BTreeMap::new();
    for (birth, stack) in heap.samples.birth().iter().zip(heap.samples.stack().iter()) {
        let place = places.entry(stack).or_insert_with(|| analysis.stacks().site(stack));
        match of_place.get_mut(place) {
            Some(births) => births.push(birth),
            None => _ = of_place.insert(place.clone(), vec![birth]),
        }
    }
    let retainers =
        |(place, births): (SourceLocation, Vec<u64>)| Some((place, analysis.retainers(births.into_iter())?));
    of_place.into_iter().filter_map(retainers).collect()
}
