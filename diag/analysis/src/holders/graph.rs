//! The rows of a sweep as a graph: nodes, who points to whom, and who waits in what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use diag_snapshot::{
    Node, NodeKind, PointerKind, ResourceRow, Snapshot, TaskId, TaskState, WaitDirection, WaitFor,
};

use super::servers::{Level, Servers};

/// A pointer from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Pointer {
    /// What has it.
    pub from: Node,
    /// Where in it.
    pub from_offset: u64,
    /// What it points to.
    pub to: Node,
    /// Where in it.
    pub to_offset: u64,
    /// By what.
    pub kind: PointerKind,
    /// True if it was there in both looks.
    pub held: bool,
}

/// A waker of a task that lies in something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Who waits.
    pub task: TaskId,
    /// In what.
    pub node: Node,
    /// Where in it: two locks in one block differ in that.
    pub offset: Option<u64>,
    /// For what.
    pub wait_for: WaitFor,
    /// What others are to do.
    pub direction: Option<WaitDirection>,
    /// Its place in the queue, from 0.
    pub place: Option<u32>,
    /// Permits that it lacks: 0 of one that has all and has not taken them.
    pub lacks: Option<u64>,
    /// False if its last poll did not touch it.
    pub touched: Option<bool>,
    /// True if it was there in both looks.
    pub held: bool,
}

impl Wait {
    /// True if the one that waits has what it waits for, and has not taken it.
    pub fn is_granted(&self) -> bool {
        self.wait_for == WaitFor::Permits && self.lacks == Some(0)
    }

    /// True if both are in one queue.
    pub(super) fn is_beside(&self, other: &Wait) -> bool {
        (self.node, self.offset) == (other.node, other.offset)
    }
}

/// What is to be known of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parked {
    pub(super) state: TaskState,
    pub(super) wakers: Option<u32>,
    pub(super) handles: Option<u32>,
    /// It is certain that nothing has its waker and that no poll is owed.
    pub(super) is_lost: bool,
}

/// What a table of 1.1 and later has of a task of which that is proven.
const PROVEN_LOST: u32 = 2;

/// Nodes, pointers and waits.
pub(super) struct Graph {
    pointers: Vec<Pointer>,
    /// Places in `pointers`, by where these point to, and by who has them.
    into: HashMap<Node, Vec<u32>>,
    out_of: HashMap<Node, Vec<u32>>,
    waits: Vec<Wait>,
    of_task: HashMap<TaskId, Vec<u32>>,
    in_node: HashMap<Node, Vec<u32>>,
    pub(super) tasks: BTreeMap<TaskId, Parked>,
    /// What alone each of these tasks awaits, as its stacks say.
    pub(super) needs: HashMap<TaskId, HashSet<WaitFor>>,
    /// Senders and whether there is a receiver, of channels.
    channels: HashMap<u64, Ends>,
    /// Who may end the waits of a queue, once asked.
    servers: Mutex<HashMap<ServersKey, Option<Servers>>>,
}

/// A queue, for what its tasks wait, and how strictly it is asked.
pub(super) type ServersKey = (Node, Option<u64>, WaitFor, Level);

/// The ends of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) senders: Option<u64>,
    pub(super) has_receiver: Option<bool>,
}

impl Graph {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let rows = snapshot.points.iter();
        let pointers: Vec<Pointer> = rows
            .map(|row| Pointer {
                from: row.from(),
                from_offset: row.from_offset,
                to: row.to(),
                to_offset: row.to_offset,
                kind: row.pointer,
                held: row.held,
            })
            .collect();
        let waits: Vec<Wait> = snapshot
            .waits
            .iter()
            .map(|row| Wait {
                task: row.task,
                node: row.node(),
                offset: row.offset,
                wait_for: row.wait_for,
                direction: row.direction,
                place: row.place,
                lacks: row.lacks,
                touched: row.touched,
                held: row.held,
            })
            .collect();
        Graph {
            into: by(&pointers, |pointer| pointer.to),
            out_of: by(&pointers, |pointer| pointer.from),
            pointers,
            of_task: by(&waits, |wait| wait.task),
            in_node: by(&waits, |wait| wait.node),
            waits,
            tasks: tasks(snapshot),
            needs: HashMap::new(),
            channels: snapshot.resources.iter().map(|row| (row.id, ends(&row))).collect(),
            servers: Mutex::default(),
        }
    }

    pub(super) fn known_servers(&self, key: &ServersKey) -> Option<Option<Servers>> {
        self.servers.lock().ok()?.get(key).cloned()
    }

    pub(super) fn keep_servers(&self, key: ServersKey, servers: Option<Servers>) {
        if let Ok(mut known) = self.servers.lock() {
            known.insert(key, servers);
        }
    }

    pub(super) fn waits(&self) -> &[Wait] {
        &self.waits
    }

    pub(super) fn pointers(&self) -> &[Pointer] {
        &self.pointers
    }

    pub(super) fn waits_of(&self, task: TaskId) -> impl Iterator<Item = &Wait> {
        at(&self.waits, self.of_task.get(&task))
    }

    pub(super) fn waits_in(&self, node: Node) -> impl Iterator<Item = &Wait> {
        at(&self.waits, self.in_node.get(&node))
    }

    pub(super) fn pointers_into(&self, node: Node) -> impl Iterator<Item = &Pointer> {
        at(&self.pointers, self.into.get(&node))
    }

    pub(super) fn pointers_out_of(&self, node: Node) -> impl Iterator<Item = &Pointer> {
        at(&self.pointers, self.out_of.get(&node))
    }

    pub(super) fn queue(&self, wait: &Wait) -> Vec<&Wait> {
        let mut queue: Vec<&Wait> = self.waits_in(wait.node).filter(|other| other.is_beside(wait)).collect();
        queue.sort_by_key(|wait| (wait.place.unwrap_or(u32::MAX), wait.task));
        queue
    }

    /// True of a wait that its task does not poll: its last poll did not touch it, or it was given what it waits for, was woken for
    /// that, and rests again.
    pub(super) fn is_left(&self, wait: &Wait) -> bool {
        let rests = || self.tasks.get(&wait.task).is_some_and(|parked| parked.state == TaskState::Idle);
        match wait.touched {
            Some(touched) => !touched,
            None => wait.is_granted() && rests(),
        }
    }

    /// True of a waker that lies where its task awaits nothing any more.
    pub(super) fn is_left_over(&self, wait: &Wait) -> bool {
        self.needs.get(&wait.task).is_some_and(|needs| !needs.contains(&wait.wait_for))
    }

    /// The ends of a channel; none of what is no channel.
    pub(super) fn ends(&self, node: Node) -> Option<Ends> {
        self.channels.get(&node.id).copied().filter(|_| node.kind == NodeKind::Resource)
    }
}

/// The task that a node is.
pub(super) fn task_of(node: Node) -> Option<TaskId> {
    (node.kind == NodeKind::Task).then_some(TaskId(node.id))
}

/// The node that a task is.
pub(super) fn node_of(task: TaskId) -> Node {
    Node { kind: NodeKind::Task, id: task.0 }
}

/// True of what runs or may at any time: who can reach something from there can use it.
pub(super) fn is_root(node: Node) -> bool {
    !matches!(node.kind, NodeKind::Task | NodeKind::Resource | NodeKind::Sample | NodeKind::Block)
}

fn by<T, K: std::hash::Hash + Eq>(rows: &[T], key: impl Fn(&T) -> K) -> HashMap<K, Vec<u32>> {
    let mut places: HashMap<K, Vec<u32>> = HashMap::new();
    for (place, row) in (0..).zip(rows) {
        places.entry(key(row)).or_default().push(place);
    }
    places
}

fn at<'a, T>(rows: &'a [T], places: Option<&'a Vec<u32>>) -> impl Iterator<Item = &'a T> {
    places.into_iter().flatten().filter_map(|&place| rows.get(place as usize))
}

fn ends(row: &ResourceRow) -> Ends {
    Ends { senders: row.senders, has_receiver: row.has_receiver }
}

/// The tasks of the table that the rows are about, of which six columns are read.
fn tasks(snapshot: &Snapshot) -> BTreeMap<TaskId, Parked> {
    let rows = &snapshot.tasks;
    let (ids, states) = (rows.id().iter(), rows.state().iter());
    let counts = rows.wakers().iter().zip(rows.handles().iter()).zip(rows.lost().iter());
    let parked = ids.zip(states).zip(counts).map(|((id, state), ((wakers, handles), lost))| {
        let is_lost = lost.is_some_and(|lost| lost >= PROVEN_LOST);
        (id, Parked { state, wakers, handles, is_lost })
    });
    parked.collect()
}
