//! Who may end a wait.
//!
//! The holder of a lock is whoever has a guard, and a guard is a pointer to the lock itself. Whoever may lock it has a pointer too, most
//! often to the start of its block, as an `Arc` is one; an owned guard is such a one as well. A word may be left
//! over from before. So a wait has candidates, and is hopeless only if all of them are.

use std::collections::{BTreeMap, BTreeSet};

use diag_snapshot::{Node, PointerKind, TaskId, WaitFor};

use super::graph::{Graph, Pointer, Wait, is_root, task_of};

/// By what a task may end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum By {
    /// It was given what the others wait for, and has not taken it.
    Granted,
    /// It ends.
    Ending,
    /// It has a pointer to the place itself, as a guard is one.
    Guard,
    /// It has a pointer to the block that the place is in, as an `Arc` is one.
    Reach,
    /// It waits there as well: nothing else that is known points there.
    Waiting,
}

/// A task that may end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Server {
    /// By what.
    pub by: By,
    /// Which task.
    pub task: TaskId,
}

/// How much has to be known before a wait is taken for hopeless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// Each candidate counts, however far it is from being one.
    Strict,
    /// Whoever has a guard counts, and the others only where nobody has one.
    Lax,
}

/// All that are known to be able to end a wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    /// The likeliest first.
    pub(super) all: Vec<Server>,
}

/// None if somebody else may end it who is not known: a timer, the system, memory that nobody knows.
pub(super) fn servers(graph: &Graph, wait: &Wait, level: Level) -> Option<Servers> {
    // All of a queue have the same.
    let key = (wait.node, wait.offset, wait.wait_for, level);
    if let Some(known) = graph.known_servers(&key) {
        return known;
    }
    let found = find(graph, wait, level);
    graph.keep_servers(key, found.clone());
    found
}

fn find(graph: &Graph, wait: &Wait, level: Level) -> Option<Servers> {
    let all = match wait.wait_for {
        WaitFor::Join => of_join(wait)?,
        WaitFor::Permits => of_permits(graph, wait, level)?,
        WaitFor::ChannelSend | WaitFor::ChannelRecv => of_channel(graph, wait, level)?,
        // Who else has a `Notify`, and whoever an unknown waker is of, is not known.
        _ => return None,
    };
    Some(Servers { all })
}

fn of_join(wait: &Wait) -> Option<Vec<Server>> {
    let task = task_of(wait.node).filter(|task| *task != wait.task)?;
    Some(vec![Server { by: By::Ending, task }])
}

/// A queue's word lies within so many bytes of the lock's start: a semaphore of tokio has 40, of which the last eight are not
/// that word.
const WITHIN: u64 = 32;
/// Of so many waiters at most it is asked which of them has it.
const MAX_WAITERS: usize = 64;
/// The counts of an `Arc`.
const COUNTS: u64 = 16;

fn of_permits(graph: &Graph, wait: &Wait, level: Level) -> Option<Vec<Server>> {
    let queue = graph.queue(wait);
    let granted: BTreeSet<TaskId> =
        queue.iter().filter(|other| other.is_granted()).map(|other| other.task).collect();
    if !granted.is_empty() {
        return Some(granted.into_iter().map(|task| Server { by: By::Granted, task }).collect());
    }
    let waiters: BTreeSet<TaskId> = queue.iter().map(|other| other.task).collect();
    let pointers: Vec<&Pointer> = graph.pointers_into(wait.node).filter(|pointer| pointer.held).collect();
    // Whoever waits has a pointer there: where that is not seen, nobody's is, as the block is not where it was taken to be.
    let is_seen = |task: &TaskId| pointers.iter().any(|pointer| task_of(pointer.from) == Some(*task));
    if !waiters.iter().all(is_seen) {
        return None;
    }
    let is_guard = guards(wait, &pointers);
    let start = pointers.iter().filter(|pointer| is_guard(pointer)).map(|pointer| pointer.to_offset).min();
    // An owned guard has an `Arc` of the lock alone, whose counts lie right before it.
    let may_own =
        |pointer: &Pointer| start.is_none_or(|start| pointer.to_offset.saturating_add(COUNTS) == start);
    let mut found = Found::default();
    for pointer in pointers {
        let by = if is_guard(pointer) { By::Guard } else { By::Reach };
        // Who only keeps it for others has no guard: a static, or a map of locks.
        if by == By::Reach && (is_root(pointer.from) || !may_own(pointer)) {
            continue;
        }
        found.add(graph, pointer.from, by, &waiters)?;
    }
    let Found { mut all } = found;
    if level == Level::Lax && all.iter().any(|server| server.by == By::Guard) {
        all.retain(|server| server.by == By::Guard);
    }
    // One of those that wait has it, if nobody else does; a normal sweep does not know everybody.
    if all.is_empty() && level == Level::Lax {
        let likely = most_guards(graph, wait, &waiters);
        if likely.len() > MAX_WAITERS {
            return None;
        }
        all = likely.into_iter().map(|task| Server { by: By::Waiting, task }).collect();
    }
    let has_guard = all.iter().any(|server| server.by == By::Guard);
    (level == Level::Lax || has_guard).then(|| all.into_iter().collect())
}

/// Those of the waiters that have more pointers to the lock than another one that waits just so: a guard, or a future that was
/// given it. All of them if they have as many.
fn most_guards(graph: &Graph, wait: &Wait, waiters: &BTreeSet<TaskId>) -> BTreeSet<TaskId> {
    let pointers: Vec<&Pointer> = graph.pointers_into(wait.node).filter(|pointer| pointer.held).collect();
    let is_guard = guards(wait, &pointers);
    let mut counts: BTreeMap<TaskId, u64> = waiters.iter().map(|&task| (task, 0)).collect();
    for pointer in pointers.iter().filter(|pointer| is_guard(pointer)) {
        if let Some(count) = task_of(pointer.from).and_then(|task| counts.get_mut(&task)) {
            *count += 1;
        }
    }
    let least = counts.values().min().copied().unwrap_or(0);
    let more: BTreeSet<TaskId> =
        counts.iter().filter(|(_, count)| **count > least).map(|(&task, _)| task).collect();
    if more.is_empty() { waiters.clone() } else { more }
}

/// Which pointers are to the lock itself. An `Arc` of a lock may be as near to the queue's word.
fn guards(wait: &Wait, pointers: &[&Pointer]) -> impl Fn(&Pointer) -> bool + use<> {
    let offset = wait.offset;
    let is_near = move |at: u64| offset.is_none_or(|word| (word.saturating_sub(WITHIN)..=word).contains(&at));
    let near: BTreeSet<u64> =
        pointers.iter().map(|pointer| pointer.to_offset).filter(|&at| is_near(at)).collect();
    let first = near.first().copied();
    let is_arc = move |at: u64| Some(at) == first && near.range(at.saturating_add(COUNTS)..).next().is_some();
    move |pointer: &Pointer| is_near(pointer.to_offset) && !is_arc(pointer.to_offset)
}

/// Whoever has an end of a channel, but for who waits at the same one. Its own count tells whether all of them are known.
fn of_channel(graph: &Graph, wait: &Wait, level: Level) -> Option<Vec<Server>> {
    let ends = graph.ends(wait.node)?;
    let waiters: BTreeSet<TaskId> = graph
        .waits_in(wait.node)
        .filter(|other| other.wait_for == wait.wait_for)
        .map(|other| other.task)
        .collect();
    let (mut found, mut pointers) = (Found::default(), 0_u64);
    for pointer in graph.pointers_into(wait.node).filter(|pointer| pointer.held) {
        // Each end points to the start; whoever waits for room points to the inside as well.
        if pointer.kind != PointerKind::Address || pointer.to_offset > 0 {
            continue;
        }
        if is_root(pointer.from) {
            return None;
        }
        pointers += 1;
        found.add(graph, pointer.from, By::Reach, &waiters)?;
    }
    // Those that wait have their own ends among these, and who receives one.
    if wait.wait_for == WaitFor::ChannelSend && ends.has_receiver != Some(true) {
        return None;
    }
    let needed = ends.senders?.saturating_add(1);
    let are_all = match level {
        // More than there are ends: some are left over from before, and one may hide somewhere else.
        Level::Strict => pointers == needed && wait.wait_for == WaitFor::ChannelSend,
        Level::Lax => pointers >= needed,
    };
    are_all.then(|| found.all.into_iter().collect())
}

/// Candidates, while they are looked for.
#[derive(Default)]
struct Found {
    all: BTreeSet<Server>,
}

/// So far up it is asked who has what points there.
const MAX_STEPS: usize = 3;
/// So many are asked.
const MAX_ASKED: usize = 256;

impl Found {
    /// Whoever has this node: itself if it is a task. None if that may be somebody unknown.
    fn add(&mut self, graph: &Graph, node: Node, by: By, waiters: &BTreeSet<TaskId>) -> Option<()> {
        let mut asked = BTreeSet::from([node]);
        let mut level = vec![node];
        for _ in 0..=MAX_STEPS {
            let mut next = Vec::new();
            for node in level {
                if let Some(task) = task_of(node) {
                    if !waiters.contains(&task) {
                        self.all.insert(Server { by, task });
                    }
                    continue;
                }
                if is_root(node) {
                    return None;
                }
                let mut owners = graph
                    .pointers_into(node)
                    .filter(|pointer| pointer.held)
                    .map(|pointer| pointer.from)
                    .peekable();
                // Nobody that is known has it.
                owners.peek()?;
                next.extend(owners.filter(|owner| asked.insert(*owner)));
            }
            if next.is_empty() {
                return Some(());
            }
            if asked.len() > MAX_ASKED {
                return None;
            }
            level = next;
        }
        None
    }
}
