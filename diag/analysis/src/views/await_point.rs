//! An await point with all tasks that wait there.

use std::collections::{BTreeMap, HashMap};

use diag_snapshot::{SiteIndex, StackIndex};
use serde::Serialize;

use super::{AwaitRef, SiteCount, SiteRef};
use crate::Analysis;
use crate::await_point::of_the_task;
use crate::cohorts::{AwaitIndex, Cohort, CohortKey, GroupBy};
use crate::source_location::SourceLocation;

/// So many functions of merged stacks are told apart.
const MAX_FRAMES: usize = 1_000;
/// So many functions of one stack are read, from the task's own future inwards.
const MAX_DEPTH: usize = 200;
/// So many spawn sites are named.
const NAMED_SITES: usize = 100;

/// An await point with all tasks that wait there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AwaitView {
    /// Which one.
    pub at: AwaitRef,
    /// How many tasks wait there.
    pub tasks: u64,
    /// Those of them whose own stack says so; of the others it is said by what those of their site and state wait for.
    pub with_stack: u64,
    /// The service's own lines that await it, from the nearest one outwards.
    pub awaited_by: Vec<String>,
    /// True if the heap has samples of these tasks.
    pub has_heap: bool,
    /// Where they were spawned, most first.
    pub sites: Vec<SiteCount>,
    /// Spawn sites that are not listed.
    pub unlisted_sites: u64,
    /// Their stacks as one tree, the tasks' own futures first and each function before what it calls.
    pub stacks: Vec<ParkedFrame>,
    /// Functions that are not in the tree, since it has too many.
    pub unlisted_frames: u64,
}

/// A function in which tasks are parked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ParkedFrame {
    /// How many call it: 0 of a task's own future.
    pub depth: u64,
    /// The function with its line, safe to print.
    pub function: String,
    /// How many tasks are parked in it.
    pub tasks: u64,
    /// Live heap that these allocated, and their own memory.
    pub bytes: u64,
}

#[derive(Default)]
struct Node<'a> {
    tasks: u64,
    bytes: f64,
    callees: BTreeMap<&'a SourceLocation, Node<'a>>,
}

impl Analysis {
    /// Returns the await point with this id, if a task waits there.
    pub fn await_index(&self, id: &str) -> Option<AwaitIndex> {
        self.common().await_points().find(|(_, text)| AwaitRef::id_of(text) == id).map(|(index, _)| index)
    }

    /// Returns the cohort of an await point; none if no task waits there.
    pub fn await_cohort(&self, index: AwaitIndex) -> Option<&Cohort> {
        self.cohorts(GroupBy::Await).iter().find(|cohort| cohort.key == CohortKey::Await(Some(index)))
    }

    /// Returns an await point with what waits there.
    pub fn await_view(&self, index: AwaitIndex) -> Option<AwaitView> {
        let cohort = self.await_cohort(index)?;
        let text = self.common().await_point(index)?;
        let (with_stack, root) = self.parked_stacks(index);
        let mut stacks = Vec::new();
        let mut unlisted_frames = 0;
        flatten(&root, &mut stacks, &mut unlisted_frames);
        let site = |&(site, tasks): &(SiteIndex, u64)| SiteCount {
            site: SiteRef::new(self.snapshot(), site),
            tasks,
        };
        Some(AwaitView {
            at: AwaitRef::new(text),
            tasks: cohort.tasks,
            with_stack,
            awaited_by: self.awaited_by(text),
            has_heap: self.live_stacks().await_points.iter().any(|point| point == text),
            sites: cohort.sites.iter().take(NAMED_SITES).map(site).collect(),
            unlisted_sites: cohort.sites.len().saturating_sub(NAMED_SITES) as u64,
            stacks,
            unlisted_frames,
        })
    }

    /// The stacks of the tasks that wait there as one tree, and how many tasks have one.
    fn parked_stacks(&self, index: AwaitIndex) -> (u64, Node<'_>) {
        let snapshot = self.snapshot();
        let mut sums: HashMap<StackIndex, (u64, f64)> = HashMap::new();
        let mut rows = snapshot.parked.iter().peekable();
        while let Some(mut last) = rows.next() {
            // Where it waits is the last.
            while let Some(next) = rows.next_if(|row| row.task == last.task) {
                last = next;
            }
            let Some(row) = snapshot.tasks.id().find(last.task) else { continue };
            if self.common().await_of(row as u32) == Some(index) {
                let (tasks, bytes) = sums.entry(last.stack).or_default();
                *tasks += 1;
                let allocated = self.tasks().allocated_bytes(row as u32).unwrap_or(0.0);
                *bytes += self.common().beside_cell(row as u32, allocated) + self.cell_bytes(row) as f64;
            }
        }
        let mut root = Node::default();
        for (stack, (tasks, bytes)) in sums {
            let mut node = &mut root;
            (node.tasks, node.bytes) = (node.tasks + tasks, node.bytes + bytes);
            for function in of_the_task(self.stacks().named.stack(stack)).into_iter().rev().take(MAX_DEPTH) {
                node = node.callees.entry(function).or_default();
                (node.tasks, node.bytes) = (node.tasks + tasks, node.bytes + bytes);
            }
        }
        (root.tasks, root)
    }

    /// Memory of the task itself that is in this row.
    pub(super) fn cell_bytes(&self, row: usize) -> u64 {
        let snapshot = self.snapshot();
        let site = snapshot.tasks.site().get(row);
        let site = site.and_then(|site| snapshot.sites.future_bytes().get(site.0 as usize));
        site.map_or(0, |bytes| bytes.0)
    }
}

/// Each function before what it calls, the one with the most tasks first.
fn flatten(root: &Node<'_>, frames: &mut Vec<ParkedFrame>, unlisted: &mut u64) {
    let ordered = |node: &Node<'_>| node.tasks;
    let mut open = vec![(0, root.callees.iter().collect::<Vec<_>>())];
    open[0].1.sort_by_key(|(_, node)| ordered(node));
    while let Some((depth, siblings)) = open.last_mut() {
        let depth = *depth;
        let Some((function, node)) = siblings.pop() else {
            open.pop();
            continue;
        };
        if frames.len() == MAX_FRAMES {
            *unlisted += 1;
        } else {
            let (tasks, bytes) = (node.tasks, node.bytes.round() as u64);
            frames.push(ParkedFrame { depth, function: function.to_string(), tasks, bytes });
        }
        let mut callees: Vec<_> = node.callees.iter().collect();
        callees.sort_by_key(|(_, node)| ordered(node));
        open.push((depth + 1, callees));
    }
}
