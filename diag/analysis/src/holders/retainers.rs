//! What keeps the sampled blocks of a function: paths of pointers, as one tree with counts.
//!
//! A leak's blocks are many, and what keeps them is one thing: some of them tell. Each sampled block is asked who points to it, who
//! points there, and so on, for a few steps, up to what lives by itself: a static, a thread, a task. The paths of all are
//! put together by what their steps are called. One word may be left over from before; the same path from many blocks is not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diag_snapshot::{Node, NodeKind, PointerKind};
use serde::Serialize;

use super::Holders;
use super::graph::is_root;
use crate::Analysis;
use crate::source_location::SourceLocation;

/// What keeps some sampled blocks, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retainers {
    /// So many sampled blocks were asked who points to them.
    pub samples: u64,
    /// So many of these nothing points to that is known.
    pub without: u64,
    /// What keeps the others, the most blocks first: each step, and what it leads to.
    pub kept_by: Vec<Retainer>,
}

/// A step on the way to sampled blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retainer {
    /// What it is, in a word: `static`, `task`, `sample`.
    pub kind: &'static str,
    /// What it is called; safe to print.
    pub name: String,
    /// So many of the blocks are kept by way of it.
    pub samples: u64,
    /// The next steps towards these.
    pub then: Vec<Retainer>,
}

/// So many steps back from a block are asked.
const MAX_STEPS: usize = 4;
/// So many nodes are asked for one block.
const MAX_ASKED: usize = 512;
/// So many paths of one block are compared.
const MAX_PATHS: usize = 64;
/// So many sampled blocks are asked.
const MAX_SAMPLES: usize = 1_024;
/// So many branches of a step are told.
const MAX_BRANCHES: usize = 12;

/// A step by which paths are put together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Step {
    kind: &'static str,
    name: String,
}

type Path = Vec<Step>;

impl Analysis {
    /// Returns what keeps the sampled blocks that a function allocates; none if nobody asked for that.
    pub fn retainers_of(&self, place: &SourceLocation) -> Option<Retainers> {
        let heap = self.snapshot().heap.as_ref()?;
        let is_of = |stack: &diag_snapshot::StackIndex| self.stacks().site(*stack) == *place;
        let mut of_stack: HashMap<diag_snapshot::StackIndex, bool> = HashMap::new();
        let rows = heap.samples.birth().iter().zip(heap.samples.stack().iter());
        let births = rows.filter(|(_, stack)| *of_stack.entry(*stack).or_insert_with(|| is_of(stack)));
        self.retainers(births.map(|(birth, _)| birth))
    }

    /// Returns what keeps these sampled blocks, of those that the sweep looked at.
    pub fn retainers(&self, births: impl Iterator<Item = u64>) -> Option<Retainers> {
        let holders = self.holders()?;
        let mut names = Names { analysis: self, known: HashMap::new() };
        let nodes = births.map(|id| Node { kind: NodeKind::Sample, id });
        // The sweep asks for some of each stack alone: of the others nothing is known.
        let asked: Vec<Vec<Path>> = nodes
            .filter(|node| holders.graph.pointers_into(*node).next().is_some())
            .take(MAX_SAMPLES)
            .map(|node| paths(holders, &mut names, node))
            .collect();
        let samples = asked.len() as u64;
        (samples > 0).then(|| Retainers::of(asked))
    }
}

impl Retainers {
    /// Of each block the path is counted that most others have as well.
    fn of(asked: Vec<Vec<Path>>) -> Self {
        let mut votes: BTreeMap<&Path, u64> = BTreeMap::new();
        for path in asked.iter().flat_map(|paths| paths.iter().collect::<BTreeSet<_>>()) {
            *votes.entry(path).or_default() += 1;
        }
        let rank = |path: &&Path| (votes.get(*path).copied().unwrap_or(0), std::cmp::Reverse(path.len()));
        let mut chosen: BTreeMap<&Path, u64> = BTreeMap::new();
        let mut without = 0;
        for paths in &asked {
            match paths.iter().max_by_key(rank) {
                Some(path) => *chosen.entry(path).or_default() += 1,
                None => without += 1,
            }
        }
        let mut kept_by = Vec::new();
        for (path, samples) in chosen {
            enter(&mut kept_by, path, samples);
        }
        sort(&mut kept_by);
        Retainers { samples: asked.len() as u64, without, kept_by }
    }

    /// Returns the path of the most blocks, the outermost step first, with how many these are.
    pub fn main_path(&self) -> Option<(Vec<&Retainer>, u64)> {
        let mut path = vec![self.kept_by.first()?];
        while let Some(next) = path.last().and_then(|step| step.then.first()) {
            path.push(next);
        }
        let samples = path.last().map_or(0, |step| step.samples);
        Some((path, samples))
    }

    /// Returns the tree as lines, each step behind those that lead to it.
    pub fn lines(&self) -> Vec<(usize, &Retainer)> {
        let mut lines = Vec::new();
        let mut left: Vec<(usize, &Retainer)> = self.kept_by.iter().rev().map(|step| (0, step)).collect();
        while let Some((depth, step)) = left.pop() {
            lines.push((depth, step));
            left.extend(step.then.iter().rev().map(|next| (depth + 1, next)));
        }
        lines
    }
}

fn enter(steps: &mut Vec<Retainer>, path: &[Step], samples: u64) {
    let Some((first, rest)) = path.split_first() else { return };
    let at = steps.iter().position(|step| (step.kind, &step.name) == (first.kind, &first.name));
    let at = at.unwrap_or_else(|| {
        let (kind, name) = (first.kind, first.name.clone());
        steps.push(Retainer { kind, name, samples: 0, then: Vec::new() });
        steps.len() - 1
    });
    if let Some(step) = steps.get_mut(at) {
        step.samples += samples;
        enter(&mut step.then, rest, samples);
    }
}

fn sort(steps: &mut Vec<Retainer>) {
    steps.sort_by(|a, b| b.samples.cmp(&a.samples).then_with(|| a.name.cmp(&b.name)));
    steps.truncate(MAX_BRANCHES);
    steps.iter_mut().for_each(|step| sort(&mut step.then));
}

/// The shortest ways from what lives by itself to a block, each from the outermost step on; those from what a thread has on its
/// stack only if there is no other, as such a word may be left over. If nothing that is known keeps it, the way from the outermost
/// block that does.
fn paths(holders: &Holders, names: &mut Names<'_>, block: Node) -> Vec<Path> {
    let (mut found, mut of_threads, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut asked = BTreeSet::from([block]);
    let mut ways: Vec<Vec<Node>> = vec![vec![block]];
    let mut is_in_cycle = false;
    for _ in 0..MAX_STEPS {
        let mut next = Vec::new();
        for way in ways {
            let Some(&last) = way.last() else { continue };
            let mut has_owner = false;
            for owner in owners(holders, last) {
                has_owner = true;
                is_in_cycle |= way.contains(&owner);
                let longer = || way.iter().copied().chain([owner]).collect::<Vec<_>>();
                match owner.kind {
                    NodeKind::Thread => of_threads.push(longer()),
                    NodeKind::Task => found.push(longer()),
                    _ if is_root(owner) => found.push(longer()),
                    _ if asked.len() < MAX_ASKED && asked.insert(owner) => next.push(longer()),
                    _ => {}
                }
            }
            if !has_owner && way.len() > 1 {
                open.push(way);
            }
        }
        if !found.is_empty() || next.is_empty() {
            break;
        }
        ways = next;
    }
    let ways = [found, of_threads, open].into_iter().find(|ways| !ways.is_empty()).unwrap_or_default();
    let mut paths: Vec<Path> = ways.iter().take(MAX_PATHS).map(|way| names.path(way)).collect();
    if paths.is_empty() && is_in_cycle {
        paths.push(vec![Step { kind: "cycle", name: "blocks that keep each other".to_owned() }]);
    }
    paths
}

fn owners(holders: &Holders, node: Node) -> BTreeSet<Node> {
    let address = |kind: PointerKind| kind == PointerKind::Address;
    let pointers = holders.pointers_to(node).filter(|pointer| address(pointer.kind));
    pointers.map(|pointer| pointer.from).filter(|from| *from != node).collect()
}

/// Names of nodes, each made once.
struct Names<'a> {
    analysis: &'a Analysis,
    known: HashMap<Node, Step>,
}

impl Names<'_> {
    /// From the outermost step to the one that points to the block. Nodes of one list are one step.
    fn path(&mut self, way: &[Node]) -> Path {
        let mut path: Path = way.iter().skip(1).rev().map(|node| self.step(*node)).collect();
        path.dedup();
        path
    }

    fn step(&mut self, node: Node) -> Step {
        let analysis = self.analysis;
        let new = || Step { kind: node.kind.as_str(), name: analysis.node_name(node) };
        self.known.entry(node).or_insert_with(new).clone()
    }
}
