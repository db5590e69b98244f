//! Tasks that nothing which runs can wake any more.
//!
//! Two ways lead there. Where every block is known, whatever runs is followed through all pointers, and a task that is not met has
//! no waker left which anybody could use: a pointer too many keeps a task alive and never the other way round. Where
//! only some blocks are known, a task is taken for dead as long as everybody who may end one of its waits is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diag_snapshot::{Node, PointerKind, Sweep, TaskId, TaskState, WaitFor};

use super::graph::{Graph, Parked, Wait, is_root, node_of, task_of};
use super::servers::{Level, servers};
use super::{Certainty, is_full, is_whole};

/// That nothing which runs can wake a task any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Never {
    /// How sure that is.
    pub certainty: Certainty,
    /// Handles that may still end it; none if that is not known.
    pub handles: Option<u32>,
}

pub(super) fn never(graph: &Graph, sweep: &Sweep) -> BTreeMap<TaskId, Never> {
    let mut found: BTreeMap<TaskId, Certainty> = BTreeMap::new();
    let mut add = |tasks: BTreeSet<TaskId>, certainty: Certainty| {
        for task in tasks {
            let known = found.entry(task).or_insert(certainty);
            *known = (*known).max(certainty);
        }
    };
    add(hopeless(graph, Level::Lax), Certainty::Possible);
    if sweep.passes >= 2 {
        add(hopeless(graph, Level::Strict), Certainty::Likely);
    }
    if is_full(sweep) {
        let of_reach = |certainty| if is_whole(sweep) { certainty } else { Certainty::Possible };
        add(unreached(graph, Handles::Ignored), of_reach(Certainty::Likely));
        add(unreached(graph, Handles::Followed), of_reach(Certainty::Proven));
    }
    let handles = |task: &TaskId| graph.tasks.get(task).and_then(|parked| parked.handles);
    found.into_iter().map(|(task, certainty)| (task, Never { certainty, handles: handles(&task) })).collect()
}

/// The largest set of tasks of which none can go on unless another of them does.
pub(super) fn hopeless(graph: &Graph, level: Level) -> BTreeSet<TaskId> {
    let mut hopeless = BTreeSet::new();
    let mut waited_for: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
    for (&task, parked) in &graph.tasks {
        let Some(needs) = needs(graph, task, parked, level) else { continue };
        hopeless.insert(task);
        for server in needs {
            waited_for.entry(server).or_default().push(task);
        }
    }
    // Whoever needs one that can go on, can go on.
    let others = waited_for.keys().filter(|task| !hopeless.contains(task)).copied();
    let mut alive: Vec<TaskId> = others.collect();
    while let Some(task) = alive.pop() {
        let behind = waited_for.remove(&task).unwrap_or_default();
        alive.extend(behind.into_iter().filter(|task| hopeless.remove(task)));
    }
    hopeless
}

/// The tasks of which one has to go on before this one can; none if it can go on by itself or by what is not known.
fn needs(graph: &Graph, task: TaskId, parked: &Parked, level: Level) -> Option<BTreeSet<TaskId>> {
    if parked.state != TaskState::Idle {
        return None;
    }
    if parked.is_lost {
        return (parked.handles == Some(0)).then(BTreeSet::new);
    }
    let waits: Vec<&Wait> = graph.waits_of(task).collect();
    let all_found = match parked.wakers {
        Some(wakers) => waits.len() >= wakers as usize,
        None => level == Level::Lax,
    };
    // What it was given will not wake it again.
    let (granted, open): (Vec<&Wait>, Vec<&Wait>) = waits.into_iter().partition(|wait| wait.is_granted());
    if !all_found || open.is_empty() || !granted.iter().all(|wait| graph.is_left(wait)) {
        return None;
    }
    let mut needs = BTreeSet::new();
    // To be woken by what it awaited before lets nobody go on.
    let is_awaited = |wait: &&Wait| level == Level::Strict || !graph.is_left_over(wait);
    for wait in open.into_iter().filter(is_awaited) {
        let servers = servers(graph, wait, level).filter(|_| wait.held)?;
        needs.extend(servers.all.iter().map(|server| server.task));
    }
    // Nobody at all: the place is known wrongly, or somebody is not known.
    (!needs.is_empty() || level == Level::Lax).then_some(needs)
}

/// Whether who has a handle of a task, and so may end it, counts as who may wake it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handles {
    Followed,
    Ignored,
}

/// The tasks that cannot be met from what runs.
fn unreached(graph: &Graph, handles: Handles) -> BTreeSet<TaskId> {
    let mut met: HashSet<Node> = HashSet::new();
    let mut left: Vec<Node> = Vec::new();
    let mut meet = |node: Node, left: &mut Vec<Node>| {
        if met.insert(node) {
            left.push(node);
        }
    };
    let awake = graph.tasks.iter().filter(|(task, parked)| may_run(graph, **task, parked, handles));
    awake.for_each(|(&task, _)| meet(node_of(task), &mut left));
    for pointer in graph.pointers() {
        let from = pointer.from;
        let is_task = task_of(from).is_some_and(|task| graph.tasks.contains_key(&task));
        // Who has what nothing points to is not told by the rows.
        if is_root(from) || (!is_task && graph.pointers_into(from).next().is_none()) {
            meet(from, &mut left);
        }
    }
    for wait in graph.waits().iter().filter(|wait| is_root(wait.node)) {
        meet(wait.node, &mut left);
    }
    while let Some(node) = left.pop() {
        let is_used = |kind: PointerKind| kind != PointerKind::Handle || handles == Handles::Followed;
        let pointed =
            graph.pointers_out_of(node).filter(|pointer| is_used(pointer.kind)).map(|pointer| pointer.to);
        let woken = graph.waits_in(node).map(|wait| node_of(wait.task));
        pointed.chain(woken).for_each(|node| meet(node, &mut left));
    }
    graph.tasks.keys().copied().filter(|task| !met.contains(&node_of(*task))).collect()
}

/// True of a task that runs, or that something may wake which the graph does not show.
fn may_run(graph: &Graph, task: TaskId, parked: &Parked, handles: Handles) -> bool {
    let waits: Vec<&Wait> = graph.waits_of(task).collect();
    let by_outside = |wait: &&Wait| matches!(wait.wait_for, WaitFor::Io | WaitFor::Timer) || !wait.held;
    let is_handle = |kind: PointerKind| kind == PointerKind::Handle;
    let handle_is_hidden = || {
        parked.handles.is_none_or(|count| count > 0)
            && !graph.pointers_into(node_of(task)).any(|pointer| is_handle(pointer.kind))
    };
    let wakers_found = || {
        let elsewhere =
            graph.pointers_into(node_of(task)).filter(|pointer| pointer.kind == PointerKind::Waker);
        parked.wakers.is_some_and(|wakers| waits.len().max(elsewhere.count()) >= wakers as usize)
    };
    parked.state != TaskState::Idle
        || waits.iter().any(by_outside)
        || (handles == Handles::Followed && handle_is_hidden())
        || (!parked.is_lost && (!wakers_found() || parked.wakers == Some(0)))
}
