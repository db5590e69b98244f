//! The heaps of two snapshots in one tree.

use diag_analysis::Analysis;
use diag_diff::diff::StackFlows;

use super::tree::{Frames, Tree};

/// What a differential flamegraph is drawn from, however it is looked at.
pub(crate) struct Heaps {
    pub(crate) flows: StackFlows,
    /// The stacks of the first snapshot, and those of the second.
    pub(crate) tree: Tree,
}

impl Heaps {
    /// None unless the heap is sampled in both.
    pub(crate) fn of(before: &Analysis, after: &Analysis, frames: Frames) -> Option<Self> {
        let flows = StackFlows::of(before, after)?;
        let stacks = [before, after].map(|side| &side.stacks().named);
        let tree = Tree::new(&stacks, frames, flows.same_process);
        Some(Heaps { flows, tree })
    }

    /// How many rows it keeps.
    pub(crate) fn rows(&self) -> u64 {
        (self.tree.nodes.len() + self.flows.before.len() + self.flows.after.len()) as u64
    }
}
