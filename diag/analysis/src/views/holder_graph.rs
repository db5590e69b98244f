//! Who waits for whom, around some tasks, as a graph to be drawn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use diag_snapshot::{Node, NodeKind, TaskId};
use serde::Serialize;

use crate::Analysis;
use crate::holders::{By, Holders, Wait};
use crate::human;

/// So many nodes are drawn.
const MAX_NODES: usize = 60;
/// So many of those that wait in one place are drawn one by one.
const EACH: usize = 4;
/// So many steps from the tasks that are asked for.
const MAX_STEPS: i32 = 8;

/// Who waits for whom, around some tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HolderGraph {
    /// Tasks, what they wait in, and others that are folded into one.
    pub nodes: Vec<HolderNode>,
    /// From who waits to what it waits in, and from there to who has it.
    pub edges: Vec<HolderEdge>,
    /// Tasks that are not among the nodes.
    pub unlisted_tasks: u64,
}

/// A task, something that tasks wait in, or several tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HolderNode {
    /// Its number, if it is a task.
    pub task: Option<String>,
    /// What it is: `task 7`, `lock`, `12 more tasks`; safe to print.
    pub title: String,
    /// Where it was spawned or made, as far as that is known; safe to print.
    pub place: String,
    /// Where it waits, if it is a task and that is known.
    pub at: Option<String>,
    /// True if it is one of those that wait for each other.
    pub in_cycle: bool,
    /// So many steps behind those that were asked for; negative of those that wait behind.
    pub column: i32,
}

/// A step from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct HolderEdge {
    /// Place of who waits, or of what is held, among the nodes.
    pub from: usize,
    /// Place of what it waits in, or of who has that.
    pub to: usize,
    /// What it is: `waits`, `has`, `may have`.
    pub word: &'static str,
    /// True if it is a step of a cycle.
    pub in_cycle: bool,
}

impl HolderGraph {
    /// Returns each edge as a line: `task 1 waits: lock made at src/a.rs:3`.
    pub fn lines(&self) -> Vec<String> {
        let name = |at: usize| {
            let node = self.nodes.get(at);
            node.map_or(String::new(), |node| match node.place.is_empty() {
                true => node.title.clone(),
                false => format!("{} ({})", node.title, node.place),
            })
        };
        // What is held stands behind who has it.
        let line = |edge: &HolderEdge| match edge.word {
            "waits" => format!("{} waits for {}", name(edge.from), name(edge.to)),
            word => format!("{} {word} {}", name(edge.to), name(edge.from)),
        };
        self.edges.iter().map(line).collect()
    }
}

impl Analysis {
    /// Returns who waits for whom around these tasks; none if the memory was not swept, or if none of them waits or is waited for.
    pub fn holder_graph(&self, tasks: &[TaskId]) -> Option<HolderGraph> {
        let holders = self.holders()?;
        let mut drawing = Drawing {
            analysis: self,
            holders,
            places: BTreeMap::new(),
            served: served(holders),
            graph: HolderGraph::default(),
        };
        drawing.draw(tasks);
        (!drawing.graph.edges.is_empty()).then_some(drawing.graph)
    }
}

struct Drawing<'a> {
    analysis: &'a Analysis,
    holders: &'a Holders,
    places: BTreeMap<Node, usize>,
    /// A wait of each queue that a task may end.
    served: BTreeMap<TaskId, Vec<Wait>>,
    graph: HolderGraph,
}

/// By who may end it: a wait of each queue.
fn served(holders: &Holders) -> BTreeMap<TaskId, Vec<Wait>> {
    let mut queues = BTreeSet::new();
    let mut served: BTreeMap<TaskId, Vec<Wait>> = BTreeMap::new();
    for wait in holders.waits().iter().filter(|wait| queues.insert((wait.node, wait.offset))) {
        for server in holders.servers(wait) {
            served.entry(server.task).or_default().push(*wait);
        }
    }
    served
}

/// The task as a node.
fn node_of(task: TaskId) -> Node {
    Node { kind: NodeKind::Task, id: task.0 }
}

impl Drawing<'_> {
    fn draw(&mut self, tasks: &[TaskId]) {
        let mut left: VecDeque<(TaskId, i32)> = VecDeque::new();
        let mut met: BTreeSet<TaskId> = BTreeSet::new();
        for &task in tasks {
            if self.analysis.snapshot().task(task).is_some() && met.insert(task) {
                left.push_back((task, 0));
            }
        }
        while let Some((task, column)) = left.pop_front() {
            let Some(from) = self.node(node_of(task), column) else {
                self.graph.unlisted_tasks += 1;
                continue;
            };
            let holders = self.holders;
            let mut waits: Vec<&Wait> = holders.waits_of(task).collect();
            waits.dedup_by_key(|wait| (wait.node, wait.offset));
            for wait in waits {
                // A join has no place of its own: the task is waited for.
                let is_place = wait.node.kind != NodeKind::Task;
                let place = match is_place {
                    true => self.node(wait.node, column + 1),
                    false => Some(from),
                };
                let Some(place) = place else { continue };
                if is_place {
                    self.edge(from, place, "waits", task, None);
                    self.behind(wait, place, column, &mut left, &mut met);
                }
                for server in holders.servers(wait).iter().take(EACH) {
                    let column = column + if is_place { 2 } else { 1 };
                    let Some(to) = self.node(node_of(server.task), column) else { continue };
                    let word = match (is_place, server.by) {
                        (false, _) => "waits",
                        (_, By::Guard | By::Granted | By::Ending) => "has",
                        _ => "may have",
                    };
                    self.edge(place, to, word, server.task, Some(task));
                    if column <= MAX_STEPS && met.insert(server.task) {
                        left.push_back((server.task, column));
                    }
                }
            }
            self.held_by(task, from, column, &mut left, &mut met);
        }
        self.graph.edges.sort();
        self.graph.edges.dedup();
    }

    /// Those that wait in the same place: some one by one, the others as one.
    fn behind(
        &mut self,
        wait: &Wait,
        place: usize,
        column: i32,
        left: &mut VecDeque<(TaskId, i32)>,
        met: &mut BTreeSet<TaskId>,
    ) {
        let holders = self.holders;
        let others: Vec<TaskId> =
            holders.queue(wait).iter().map(|other| other.task).filter(|task| met.insert(*task)).collect();
        let (each, folded) = others.split_at(others.len().min(EACH));
        left.extend(each.iter().map(|&task| (task, column)));
        if !folded.is_empty() {
            let title = human::counted(folded.len() as u64, "more task");
            let folded = HolderNode { title, ..HolderNode::empty(column) };
            if self.graph.nodes.len() < MAX_NODES {
                self.graph.nodes.push(folded);
                let from = self.graph.nodes.len() - 1;
                self.graph.edges.push(HolderEdge { from, to: place, word: "waits", in_cycle: false });
            }
        }
    }

    /// What others wait for that this task has.
    fn held_by(
        &mut self,
        task: TaskId,
        to: usize,
        column: i32,
        left: &mut VecDeque<(TaskId, i32)>,
        met: &mut BTreeSet<TaskId>,
    ) {
        for wait in self.served.remove(&task).unwrap_or_default() {
            if wait.node.kind == NodeKind::Task {
                let Some(from) = self.node(node_of(wait.task), column - 1) else { continue };
                self.edge(from, to, "waits", wait.task, Some(task));
                if met.insert(wait.task) {
                    left.push_back((wait.task, column - 1));
                }
                continue;
            }
            let Some(place) = self.node(wait.node, column - 1) else { continue };
            self.edge(place, to, "has", task, Some(wait.task));
            if column > -MAX_STEPS {
                self.behind(&wait, place, column - 2, left, met);
            }
        }
    }

    fn node(&mut self, node: Node, column: i32) -> Option<usize> {
        if let Some(&known) = self.places.get(&node) {
            return Some(known);
        }
        if self.graph.nodes.len() >= MAX_NODES {
            return None;
        }
        let place = self.graph.nodes.len();
        let new = self.new_node(node, column);
        self.graph.nodes.push(new);
        self.places.insert(node, place);
        Some(place)
    }

    fn new_node(&self, node: Node, column: i32) -> HolderNode {
        let name = self.analysis.node_name(node);
        let (what, place) = match name.split_once(" made at ").or_else(|| name.split_once(" awaited at ")) {
            Some((what, place)) => (what.to_owned(), place.to_owned()),
            None => (name.clone(), String::new()),
        };
        if node.kind != NodeKind::Task {
            return HolderNode { title: what, place, ..HolderNode::empty(column) };
        }
        let snapshot = self.analysis.snapshot();
        let task = snapshot.task(TaskId(node.id));
        let at = task.as_ref().and_then(|task| self.analysis.await_points().of(task));
        let is_member = |cycle: &crate::holders::Cycle| cycle.members.contains(&TaskId(node.id));
        HolderNode {
            task: Some(node.id.to_string()),
            title: format!("task {}", node.id),
            place: task.map_or(String::new(), |task| human::name(&snapshot.site_location(task.site))),
            at: at.map(str::to_owned),
            in_cycle: self.holders.cycles().iter().any(is_member),
            ..HolderNode::empty(column)
        }
    }

    /// An edge between a task and a place, or between two tasks: a step of a cycle if both ends are in one.
    fn edge(&mut self, from: usize, to: usize, word: &'static str, one: TaskId, other: Option<TaskId>) {
        let cycles = self.holders.cycles();
        let has_all = |cycle: &crate::holders::Cycle| {
            cycle.members.contains(&one) && other.is_none_or(|other| cycle.members.contains(&other))
        };
        let in_cycle = cycles.iter().any(has_all);
        self.graph.edges.push(HolderEdge { from, to, word, in_cycle });
        // What lies between two members is drawn as they are.
        if in_cycle
            && other.is_some()
            && let Some(node) = self.graph.nodes.get_mut(from)
        {
            node.in_cycle = true;
        }
    }
}

impl HolderNode {
    fn empty(column: i32) -> Self {
        HolderNode {
            task: None,
            title: String::new(),
            place: String::new(),
            at: None,
            in_cycle: false,
            column,
        }
    }
}
