//! What descends from a test and has no record, by its memory: tasks of libraries, closures on blocking threads, sockets.
//!
//! The census knows for whom each block was made. A block of a library's task is a test's if the task is: that is in the
//! block while its spawner lives, and after that it is told by the runtime, if the test has one of its own.

use std::collections::{HashMap, HashSet};

use super::found::{Found, Names};
use super::leak::{LeakKind, What};
use super::places;
use crate::census::{self, Block, Kind, Origin, TaskFacts};
use crate::current::CurrentTask;
use crate::heap;
use crate::task::lineage;

/// How many spawners are asked for theirs.
const GENERATIONS: usize = 64;

/// A block that is left.
pub(super) struct LeftBlock {
    block: Block,
    kind: LeakKind,
}

/// What a look at the blocks found.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) left: Vec<LeftBlock>,
    /// Tasks among them that a runtime of the test counts.
    pub(super) counted: usize,
    /// Some are so young that nobody knows what they are.
    pub(super) are_young: bool,
}

/// Looks for them. With `unexplained`, the test's own runtime has tasks that nobody knows yet.
pub(super) fn left(root: CurrentTask, known: &HashSet<u64>, unexplained: bool) -> Blocks {
    let mut blocks = Vec::new();
    census::each(|pinned| blocks.push(*pinned.block()));
    let is_of_tree = |block: &Block, is_member: &dyn Fn(u64) -> bool| match block.origin {
        Origin::Recorded(task) => task.id().is_some_and(is_member),
        // A closer look tells.
        Origin::Unrecorded(_) => true,
        Origin::Outside => unexplained,
    };
    blocks.retain(|block| !known.contains(&block.birth));
    let any =
        lineage::with_members(root, |is_member| blocks.iter().any(|block| is_of_tree(block, is_member)));
    if any { closer_look(root, known, unexplained) } else { Blocks::default() }
}

/// The blocks that are there before a test begins.
pub(super) fn births() -> HashSet<u64> {
    let mut births = HashSet::new();
    census::each(|pinned| {
        births.insert(pinned.block().birth);
    });
    births
}

fn closer_look(root: CurrentTask, known: &HashSet<u64>, unexplained: bool) -> Blocks {
    let Some(rules) = census::rules() else { return Blocks::default() };
    let found = rules.survey();
    let runtime = lineage::own_runtime(root);
    let by_tokio_id: HashMap<u64, Origin> =
        found.iter().filter_map(|found| Some((found.task()?.id_bits, found.block.origin))).collect();
    let is_of_runtime = |task: Option<TaskFacts>| task.is_some_and(|task| runtime.contains(&task.scheduler));
    let mut blocks = Blocks::default();
    lineage::with_members(root, |is_member| {
        let is_of_tree = |block: &Block| {
            let mut origin = block.origin;
            for _ in 0..GENERATIONS {
                match origin {
                    Origin::Recorded(task) => return task.id().is_some_and(is_member),
                    Origin::Unrecorded(bits) => match by_tokio_id.get(&bits) {
                        Some(parents) => origin = *parents,
                        None => return false,
                    },
                    Origin::Outside => return false,
                }
            }
            false
        };
        for found in found.iter().filter(|found| !known.contains(&found.block.birth)) {
            // Of a new one nobody knows yet which runtime's task it is.
            let may_be_of_runtime = found.kind == Kind::New && unexplained;
            if is_of_tree(&found.block) || is_of_runtime(found.task()) || may_be_of_runtime {
                blocks.add(found, &runtime);
            }
        }
    });
    blocks
}

/// All that the process has and that are not known.
pub(super) fn all_left(known: &HashSet<u64>) -> Blocks {
    let mut blocks = Blocks::default();
    let found = census::rules().map(census::Rules::survey).unwrap_or_default();
    found.iter().filter(|found| !known.contains(&found.block.birth)).for_each(|found| blocks.add(found, &[]));
    blocks
}

impl Blocks {
    fn add(&mut self, found: &census::Found, runtime: &[u64]) {
        let kind = match (found.kind, found.task()) {
            (Kind::Task, Some(task)) if task.has_ended() => return,
            (Kind::Task, Some(task)) if task.is_blocking() => LeakKind::Blocking,
            (Kind::Task, Some(task)) => {
                self.counted += usize::from(runtime.contains(&task.scheduler));
                LeakKind::Task
            }
            (Kind::Socket, _) => LeakKind::Socket,
            (Kind::New, _) => {
                self.are_young = true;
                return;
            }
            _ => return,
        };
        self.left.push(LeftBlock { block: found.block, kind });
    }
}

impl LeftBlock {
    pub(super) fn birth(&self) -> u64 {
        self.block.birth
    }

    /// The recorded task that it was made by.
    pub(super) fn maker(&self) -> Option<u64> {
        match self.block.origin {
            Origin::Recorded(task) => task.id(),
            Origin::Unrecorded(_) | Origin::Outside => None,
        }
    }

    pub(super) fn is_closure(&self) -> bool {
        self.kind == LeakKind::Blocking
    }

    /// What is said of it.
    pub(super) fn found(&self) -> Found {
        const SHOWN: usize = 3;
        let _kept = heap::keep_stacks();
        let stack = places::named(&heap::frames(self.block.stack));
        let functions: Vec<String> = stack.iter().map(|place| place.function.to_string()).collect();
        let is_worker = || functions.iter().any(|function| function.contains("multi_thread::worker"));
        let kind = if self.is_closure() && is_worker() { LeakKind::Worker } else { self.kind };
        let own = places::own_places(&stack);
        let site = own.first().map(|place| place.location()).unwrap_or_default();
        let (one, several, at) = match kind {
            LeakKind::Socket => ("socket", "sockets", " registered at "),
            LeakKind::Worker => ("worker thread of a runtime", "worker threads of a runtime", ", built at "),
            LeakKind::Blocking => {
                ("closure on a blocking thread", "closures on blocking threads", ", spawned at ")
            }
            _ => ("task", "tasks", " spawned at "),
        };
        let rest = at.to_owned() + if site.is_empty() { "a place without a name" } else { &site };
        let callers = own.iter().take(SHOWN).enumerate();
        let callers = callers.map(|(depth, place)| match depth {
            0 => format!("in {}", place.function),
            _ => format!("called by {} at {}", place.function, place.location()),
        });
        let mut lines: Vec<String> = callers.collect();
        if kind == LeakKind::Task {
            lines.push("it is spawned without diag, so what it waits for is not known".to_owned());
        }
        Found {
            kind,
            what: What { one, several, rest },
            lines,
            names: Names { site, functions, ..Names::default() },
        }
    }
}
