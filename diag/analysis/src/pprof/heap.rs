//! The heap: live blocks with their tasks, and what was allocated since start.

use std::collections::BTreeMap;

use super::writer::Writer;
use crate::Analysis;
use crate::allocation_sites::Part;
use crate::heap_profile::AllocStats;
use crate::heap_stacks::TaskFate;
use diag_snapshot::SiteIndex;

/// The kinds of values of a heap profile, with their units.
const HEAP_TYPES: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// The heap of a snapshot, as a gzip'd profile; without samples if the heap was not recorded.
///
/// A stack begins at the function that the allocation is known by, as in the findings. The allocator and the
/// collections, which are called from there, are left out, as Go leaves out `runtime.mallocgc`: every
/// allocation ends in them, so that all flat bytes would be theirs.
pub fn heap(analysis: &Analysis) -> Vec<u8> {
    let snapshot = analysis.snapshot();
    let mut writer = Writer::new(&analysis.stacks().named, &HEAP_TYPES);
    writer.default_type("inuse_space");
    writer.taken(snapshot.taken_unix_us(), snapshot.capture.to_us);
    if let Some(heap) = &snapshot.heap {
        // One block in one byte is every block.
        writer.period("space", "bytes", heap.facts.rate_bytes.max(1));
        for (part, since_start) in totals(analysis) {
            writer.sample(part, &[since_start.allocated_blocks, since_start.allocated_bytes, 0, 0], &[]);
        }
        for ((part, site, task), (blocks, bytes)) in groups(analysis) {
            let site = site.map(|site| snapshot.site_location(site));
            let labels = [("task_site", site.as_deref()), ("task", task.map(TaskFate::as_str))];
            writer.sample(part, &[0, 0, blocks.round() as u64, bytes.round() as u64], &labels);
        }
    }
    writer.finish()
}

/// Blocks and bytes that were allocated since start.
fn totals(analysis: &Analysis) -> BTreeMap<Part, AllocStats> {
    let mut all: BTreeMap<Part, AllocStats> = BTreeMap::new();
    for stack in &analysis.heap_stacks().allocated {
        *all.entry(analysis.stacks().part(stack.stack)).or_default() += stack.since_start;
    }
    all
}

/// Live blocks that differ in nothing that a profile says.
type Group = (Part, Option<SiteIndex>, Option<TaskFate>);

/// Number and bytes of the live blocks of each group.
fn groups(analysis: &Analysis) -> BTreeMap<Group, (f64, f64)> {
    let mut groups: BTreeMap<Group, (f64, f64)> = BTreeMap::new();
    for stack in &analysis.heap_stacks().in_use {
        let part = analysis.stacks().part(stack.stack);
        let (blocks, bytes) = groups.entry((part, stack.task_site, stack.task)).or_default();
        *blocks += stack.blocks;
        *bytes += stack.bytes;
    }
    groups
}
