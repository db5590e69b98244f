//! The sampled heap by call stack: what flamegraphs and the profiles of other tools are drawn from.

use std::collections::BTreeMap;

use crate::heap_profile::AllocStats;
use diag_snapshot::{SiteIndex, Snapshot, StackIndex};

/// The sampled heap by call stack.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HeapStacks {
    /// What lives, ascending by stack, site and state of the task.
    pub in_use: Vec<InUseStack>,
    /// What was allocated since start, in the order of the stacks.
    pub allocated: Vec<AllocatedStack>,
}

/// Live blocks of one call stack that differ in nothing that a profile says, estimated from samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct InUseStack {
    /// Who allocated them.
    pub stack: StackIndex,
    /// Where the task that did was spawned; none outside of a tracked task.
    pub task_site: Option<SiteIndex>,
    /// What became of that task; none outside of a tracked task.
    pub task: Option<TaskFate>,
    /// Their number.
    pub blocks: f64,
    /// Their bytes.
    pub bytes: f64,
}

/// What tells the live blocks of a profile apart.
type Key = (StackIndex, Option<SiteIndex>, Option<TaskFate>);

/// What became of the task that allocated a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TaskFate {
    /// It lives.
    Live,
    /// It ended.
    Ended,
}

impl TaskFate {
    /// Returns the word for people and for labels.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskFate::Live => "live",
            TaskFate::Ended => "ended",
        }
    }
}

/// What one call stack has allocated, and how much of that was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocatedStack {
    /// Who allocated it.
    pub stack: StackIndex,
    /// Allocated and freed since start.
    pub since_start: AllocStats,
}

impl HeapStacks {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let Some(heap) = &snapshot.heap else { return HeapStacks::default() };
        let live = snapshot.tasks.id();
        let mut groups: BTreeMap<Key, (f64, f64)> = BTreeMap::new();
        for sample in heap.samples.iter() {
            let fate = sample.task.map(|task| match live.find(task) {
                Some(_) => TaskFate::Live,
                None => TaskFate::Ended,
            });
            let (blocks, bytes) = groups.entry((sample.stack, sample.task_site, fate)).or_default();
            *blocks += 1.0 / sample.probability();
            *bytes += sample.weight_bytes();
        }
        let in_use = groups.into_iter().map(|((stack, task_site, task), (blocks, bytes))| InUseStack {
            stack,
            task_site,
            task,
            blocks,
            bytes,
        });
        let allocated = heap.stack_totals.iter().map(|row| AllocatedStack {
            stack: row.stack,
            since_start: AllocStats {
                allocated_blocks: row.allocated_blocks,
                allocated_bytes: row.allocated_bytes,
                freed_blocks: row.freed_blocks,
                freed_bytes: row.freed_bytes,
            },
        });
        HeapStacks { in_use: in_use.collect(), allocated: allocated.collect() }
    }

    /// Returns the live bytes of the stacks that `counts`.
    pub fn in_use_bytes(&self, counts: impl Fn(&InUseStack) -> bool) -> f64 {
        self.in_use.iter().filter(|stack| counts(stack)).map(|stack| stack.bytes).sum()
    }

    /// Returns all that was allocated and freed since start.
    pub fn since_start(&self) -> AllocStats {
        let mut sum = AllocStats::default();
        self.allocated.iter().for_each(|stack| sum += stack.since_start);
        sum
    }
}
