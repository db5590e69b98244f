//! Which tasks descend from the body of a test, while a guard wants to know.
//!
//! A record has the id of its parent, and when that one has ended nothing tells who its own parent was. So while there
//! is a tree, each spawn is entered in that of its parent, on the cold side of the branch that asks whether anything is
//! recorded: services never come here. A member stays when its task has ended, as what it has made may live on.
//!
//! A task that is spawned outside of all recorded ones, by a task of a library or on another thread, is of the tree that
//! has the runtime it is spawned on, if only one ever had.

use std::collections::HashSet;
use std::num::NonZeroU32;

use tokio::runtime::Handle;

use super::context;
use super::site::SiteId;
use super::slab::slab;
use crate::current::CurrentTask;
use crate::fork::{self, Lock};
use crate::runtime;

/// Members of a tree before those that have ended are left out.
const CROWD: usize = 1 << 18;

static TREES: Lock<Vec<Tree>> = Lock::new(Vec::new());

struct Tree {
    root: CurrentTask,
    members: HashSet<u64>,
    /// The words of the handle of its runtime; empty for none.
    runtime: Vec<u64>,
    /// Another tree has, or had meanwhile, the same one.
    shares_runtime: bool,
    /// So many, and those that have ended go.
    crowd: usize,
    /// Those of which nobody was told that they panicked.
    panicked: Vec<CurrentTask>,
    /// The process that it began in: a forked child has the tree, and not the test.
    process: NonZeroU32,
}

/// A tree begins, whose root is no task: who makes it [current](crate::current) plants what it spawns. `runtime` is its own, if
/// it has one.
pub(crate) fn begin(site: SiteId, runtime: Option<&Handle>) -> CurrentTask {
    let root = CurrentTask::new(context::take_id(), site);
    let runtime = runtime.map(runtime::words_of).unwrap_or_default();
    let mut trees = TREES.lock();
    let _hidden = hide();
    let mut tree = Tree {
        root,
        members: HashSet::from_iter(root.id()),
        runtime,
        shares_runtime: false,
        crowd: CROWD,
        panicked: Vec::new(),
        process: fork::process(),
    };
    for other in trees.iter_mut().filter(|other| !tree.runtime.is_empty() && other.runtime == tree.runtime) {
        (other.shares_runtime, tree.shares_runtime) = (true, true);
    }
    trees.push(tree);
    crate::keep_lineage(true);
    root
}

/// It ends; with the last one, lineage is kept no more.
pub(crate) fn end(root: CurrentTask) {
    let mut trees = TREES.lock();
    let _hidden = hide();
    trees.retain(|tree| tree.root != root);
    if trees.is_empty() {
        crate::keep_lineage(false);
    }
}

/// A task was spawned while `parent` was current.
pub(super) fn spawned(task: CurrentTask, parent: CurrentTask) {
    let Some(id) = task.id() else { return };
    // Before the lock, as it asks tokio.
    let runtime = if parent.id().is_none() { runtime_here() } else { Vec::new() };
    let mut trees = TREES.lock();
    let _hidden = hide();
    let tree = match parent.id() {
        Some(parent) => trees.iter_mut().find(|tree| tree.members.contains(&parent)),
        None => trees.iter_mut().find(|tree| tree.owns(&runtime)),
    };
    if let Some(tree) = tree {
        tree.members.insert(id);
        tree.thin();
    }
}

/// A task panicked, and nobody was told.
pub(super) fn panicked(task: CurrentTask) {
    let Some(id) = task.id() else { return };
    let mut trees = TREES.lock();
    let _hidden = hide();
    if let Some(tree) = trees.iter_mut().find(|tree| tree.members.contains(&id)) {
        tree.panicked.push(task);
    }
}

/// The tasks of a tree that panicked, of which nobody was told.
pub(crate) fn unobserved_panics(root: CurrentTask) -> Vec<CurrentTask> {
    let trees = TREES.lock();
    trees.iter().find(|tree| tree.root == root).map(|tree| tree.panicked.clone()).unwrap_or_default()
}

/// The roots of all trees of this process.
pub(crate) fn roots() -> Vec<CurrentTask> {
    let own = fork::process();
    TREES.lock().iter().filter(|tree| tree.process == own).map(|tree| tree.root).collect()
}

/// Runs `look` with a function that knows the members of a tree, its root among them.
pub(crate) fn with_members<T>(root: CurrentTask, look: impl FnOnce(&dyn Fn(u64) -> bool) -> T) -> T {
    let trees = TREES.lock();
    let tree = trees.iter().find(|tree| tree.root == root);
    look(&|id| tree.is_some_and(|tree| tree.members.contains(&id)))
}

/// The words of the runtime that is this tree's and no other's; empty for none.
#[cfg(samples_heap)]
pub(crate) fn own_runtime(root: CurrentTask) -> Vec<u64> {
    let trees = TREES.lock();
    let tree = trees.iter().find(|tree| tree.root == root && !tree.shares_runtime);
    tree.map(|tree| tree.runtime.clone()).unwrap_or_default()
}

/// Whether another tree has its runtime, or had while this one was there.
pub(crate) fn shares_runtime(root: CurrentTask) -> bool {
    TREES.lock().iter().any(|tree| tree.root == root && tree.shares_runtime)
}

fn runtime_here() -> Vec<u64> {
    Handle::try_current().map(|handle| runtime::words_of(&handle)).unwrap_or_default()
}

impl Tree {
    /// Whether what is spawned on this runtime is of this tree.
    fn owns(&self, runtime: &[u64]) -> bool {
        !runtime.is_empty() && self.runtime == runtime && !self.shares_runtime
    }

    /// Ended tasks spawn nothing more. What they have made is told from others' no more either: in a crowd, the tasks count.
    fn thin(&mut self) {
        if self.members.len() < self.crowd {
            return;
        }
        let records = slab().into_iter().flat_map(|slab| slab.records());
        let live: HashSet<u64> = records.filter_map(|record| record.task()?.id()).collect();
        let root = self.root.id();
        self.members.retain(|id| live.contains(id) || Some(*id) == root);
        self.crowd = CROWD.max(2 * self.members.len());
    }
}

/// The trees are no part of the heap that a test looks at.
#[cfg(feature = "heap")]
fn hide() -> impl Sized {
    crate::heap::hide_capture()
}

#[cfg(not(feature = "heap"))]
fn hide() -> impl Sized {}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    fn task(id: u64) -> CurrentTask {
        CurrentTask::new(id, SiteId(1))
    }

    fn are_members(root: CurrentTask, ids: [u64; 3]) -> [bool; 3] {
        with_members(root, |is_member| ids.map(is_member))
    }

    #[test]
    fn descendants_are_of_one_tree_also_when_those_between_have_ended() {
        const FAR: u64 = 1 << 40;
        let (one, other) = (begin(SiteId(1), None), begin(SiteId(1), None));
        spawned(task(FAR), one);
        spawned(task(FAR + 1), task(FAR));
        spawned(task(FAR + 2), other);
        spawned(task(FAR + 3), task(FAR + 9));
        assert_eq!(are_members(one, [FAR, FAR + 1, FAR + 2]), [true, true, false]);
        assert_eq!(are_members(other, [FAR, FAR + 2, FAR + 3]), [false, true, false]);
        end(one);
        assert_eq!(are_members(one, [FAR, FAR + 1, FAR + 2]), [false; 3]);
        end(other);
    }

    #[test]
    fn a_crowd_keeps_those_that_live() {
        let mut tree = Tree {
            root: task(7),
            members: (1_u64 << 41..).take(9).collect(),
            runtime: Vec::new(),
            shares_runtime: false,
            crowd: 10,
            panicked: Vec::new(),
            process: fork::process(),
        };
        tree.members.insert(7);
        tree.thin();
        assert_eq!(tree.members, HashSet::from([7]));
        assert_eq!(tree.crowd, CROWD);
    }
}
