//! Growth of the sampled heap by call stack: what a differential flamegraph is drawn from.
//!
//! A sample is followed as in [`HeapDiff`](super::HeapDiff), so the sums of all stacks are those of its total. The stacks of two
//! snapshots have numbers of their own: who draws them joins them by what their frames are called.

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::heap_profile::add;
use diag_snapshot::{SampleRow, SiteIndex, StackIndex};

use crate::merge::merge;
use crate::stats::WeightedSum;

/// The sampled heap of two snapshots by call stack.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StackFlows {
    /// Stacks of the first snapshot; what moved is what is gone.
    pub before: Vec<StackFlow>,
    /// Stacks of the second snapshot; what moved is what is new.
    pub after: Vec<StackFlow>,
    /// True if both are of one process. Of two all is gone and all is new, and lines do not tell frames apart.
    pub same_process: bool,
    /// Weight of a sample where none was seen, bytes: the mean distance between samples.
    pub unseen_bytes: f64,
}

/// Live bytes of one call stack in one of the snapshots.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StackFlow {
    /// Who allocated them.
    pub stack: StackIndex,
    /// Where the task that did was spawned; none outside of a tracked task.
    pub task_site: Option<SiteIndex>,
    /// All of it.
    pub live: WeightedSum,
    /// What of it the other snapshot does not have.
    pub moved: WeightedSum,
}

type Sums = BTreeMap<(StackIndex, Option<SiteIndex>), (WeightedSum, WeightedSum)>;

impl StackFlows {
    /// Follows each sample from one snapshot to another; none unless the heap is sampled in both.
    pub fn of(before: &Analysis, after: &Analysis) -> Option<Self> {
        let (was, is) = (before.snapshot().heap.as_ref()?, after.snapshot().heap.as_ref()?);
        let same_process = before.snapshot().process.instance == after.snapshot().process.instance;
        let (mut gone, mut new) = (Sums::new(), Sums::new());
        let each = |was: Option<SampleRow>, is: Option<SampleRow>| {
            // As in the growth by function: a block that grew in place is gone with its old size and new with the larger one.
            let unchanged = was.zip(is).is_some_and(|(was, is)| was.size_bytes == is.size_bytes);
            was.into_iter().for_each(|sample| put(&mut gone, &sample, !unchanged));
            is.into_iter().for_each(|sample| put(&mut new, &sample, !unchanged));
        };
        if same_process {
            merge(was.samples.iter(), is.samples.iter(), |sample| sample.birth, each);
        } else {
            was.samples.iter().for_each(|sample| put(&mut gone, &sample, true));
            is.samples.iter().for_each(|sample| put(&mut new, &sample, true));
        }
        let unseen_bytes = before.heap()?.unseen_bytes.max(after.heap()?.unseen_bytes);
        Some(StackFlows { before: flows(gone), after: flows(new), same_process, unseen_bytes })
    }
}

fn put(sums: &mut Sums, sample: &SampleRow, has_moved: bool) {
    let (live, moved) = sums.entry((sample.stack, sample.task_site)).or_default();
    add(live, sample);
    if has_moved {
        add(moved, sample);
    }
}

fn flows(sums: Sums) -> Vec<StackFlow> {
    let flow = |((stack, task_site), (live, moved))| StackFlow { stack, task_site, live, moved };
    sums.into_iter().map(flow).collect()
}
