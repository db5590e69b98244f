//! What a test has left so far: seen in one look, which is cheap where that is nothing, and without names until
//! somebody asks.

use std::collections::HashSet;

use tokio::runtime::Handle;

use super::blocks::{self, Blocks, LeftBlock};
use super::children::{self, Whose};
use super::found::Found;
use super::ignored::Ignored;
use super::in_use;
use super::panics;
use super::process::Process;
use super::tasks::{self, LeftTask, Sites};
use super::value::Value;
use crate::current::CurrentTask;
use crate::task::lineage;

/// What is looked at.
pub(super) struct Watched {
    pub(super) root: CurrentTask,
    /// The runtime that the test began in, and how many tasks it had then.
    pub(super) runtime: Option<(Handle, usize)>,
    /// Blocks of the census that were there before.
    pub(super) blocks: HashSet<u64>,
    pub(super) children: Vec<u32>,
    /// Where the test has the process to itself.
    pub(super) process: Option<Process>,
    pub(super) values: Vec<Value>,
    pub(super) ignored: Ignored,
}

/// What is left at one moment.
pub(super) struct Remains {
    tasks: Vec<LeftTask>,
    blocks: Vec<LeftBlock>,
    others: Vec<Found>,
    /// Tasks of the test's own runtime that nobody knows.
    pub(super) unseen: usize,
    /// Some things cannot be told yet.
    is_early: bool,
}

impl Watched {
    /// Looks once.
    pub(super) fn remains(&self) -> Remains {
        let mut tasks = tasks::left(self.root);
        // Before those that ended meanwhile are counted for alive.
        let alive = self.alive_tasks();
        let recorded = if tasks.is_empty() { 0 } else { counted(&tasks) };
        tasks.retain(|task| task.id().is_none_or(|id| !self.ignored.running.contains(&id)));
        let blocks = blocks::left(self.root, &self.blocks, alive > recorded);
        let mut left = blocks.left;
        left.retain(|block| !self.ignored.running.contains(&block.birth()));
        let mut others = match &self.process {
            Some(process) => process.left(),
            None => children::left(Whose::ThisThread, &self.children),
        };
        others.extend(in_use::left(self.root, &self.ignored.running));
        others.extend(panics::left(self.root, &self.ignored.running));
        others.extend(self.values.iter().filter_map(Value::changed));
        let mut remains = Remains {
            tasks,
            blocks: left,
            others,
            unseen: alive.saturating_sub(recorded + blocks.counted),
            is_early: blocks.are_young,
        };
        remains.leave_out(&self.ignored, self.root);
        remains
    }

    /// Tasks that the test's own runtime has, beyond those that it had before.
    fn alive_tasks(&self) -> usize {
        if lineage::shares_runtime(self.root) {
            return 0;
        }
        let now =
            |(handle, before): &(Handle, usize)| handle.metrics().num_alive_tasks().saturating_sub(*before);
        self.runtime.as_ref().map_or(0, now)
    }
}

fn counted(tasks: &[LeftTask]) -> usize {
    let sites = Sites::all();
    tasks.iter().filter(|task| sites.is_counted_by_tokio(task)).count()
}

impl Remains {
    /// Of the whole process.
    pub(super) fn of_process(tasks: Vec<LeftTask>, blocks: Blocks, others: Vec<Found>) -> Self {
        Remains { tasks, blocks: blocks.left, others, unseen: 0, is_early: blocks.are_young }
    }

    /// Nothing is left, nothing is still to be told, and all tasks of the runtime are accounted for.
    pub(super) fn is_clear(&self) -> bool {
        self.is_settled() && !self.is_early && self.unseen == 0
    }

    /// Some of it is too young to be told.
    pub(super) fn is_early(&self) -> bool {
        self.is_early
    }

    /// All that keeps it from being clear is what nobody can see.
    pub(super) fn is_unseen_only(&self) -> bool {
        self.is_settled() && !self.is_early
    }

    /// Nothing is left that is known.
    pub(super) fn is_settled(&self) -> bool {
        self.tasks.is_empty() && self.blocks.is_empty() && self.others.is_empty()
    }

    /// Whether some of it may go without a turn of the runtime that the caller holds up.
    pub(super) fn may_change_by_itself(&self) -> bool {
        self.is_early
            || !self.others.is_empty()
            || self.blocks.iter().any(LeftBlock::is_closure)
            || !self.tasks.is_empty() && {
                let sites = Sites::all();
                self.tasks.iter().any(|task| sites.needs_no_turn(task))
            }
    }

    /// What was asked to stop, and what that has made, is on its way.
    pub(super) fn forgive_asked_to_stop(&mut self) {
        let is_asked = |task: &mut LeftTask| task.is_asked_to_stop();
        let asked: HashSet<u64> = self.tasks.extract_if(.., is_asked).filter_map(|task| task.id()).collect();
        self.blocks.retain(|block| block.maker().is_none_or(|maker| !asked.contains(&maker)));
    }

    /// The ids of what is left.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        let tasks = self.tasks.iter().filter_map(LeftTask::id);
        tasks.chain(self.blocks.iter().map(LeftBlock::birth))
    }

    /// Everything in words. Reads the names of functions from the executable, which takes a while at first.
    pub(super) fn into_found(self, root: CurrentTask) -> Vec<Found> {
        let all: HashSet<u64> = self.tasks.iter().filter_map(LeftTask::id).collect();
        let sites = Sites::all();
        let mut found: Vec<Found> =
            self.tasks.iter().filter_map(|task| sites.found(task, root, &all)).collect();
        found.extend(self.blocks.iter().map(LeftBlock::found));
        found.extend(self.others);
        found
    }

    fn leave_out(&mut self, ignored: &Ignored, root: CurrentTask) {
        if ignored.is_empty() || self.is_settled() {
            return;
        }
        let all: HashSet<u64> = self.tasks.iter().filter_map(LeftTask::id).collect();
        let sites = Sites::all();
        self.tasks.retain(|task| sites.found(task, root, &all).is_some_and(|found| !ignored.has(&found)));
        self.blocks.retain(|block| !ignored.has(&block.found()));
        self.others.retain(|found| !ignored.has(found));
    }
}
