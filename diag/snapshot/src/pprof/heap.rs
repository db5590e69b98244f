//! The heap: live blocks with their tasks, and what was allocated since start.

use std::collections::BTreeMap;

use super::writer::Writer;
use crate::model::{Heap, SampleRow, SiteIndex, Snapshot, StackIndex};

/// The kinds of values of a heap profile, with their units.
const HEAP_TYPES: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// The heap of a snapshot, as a gzip'd profile; without samples if the heap was not recorded.
pub fn heap(snapshot: &Snapshot) -> Vec<u8> {
    let mut writer = Writer::new(&snapshot.stacks, &snapshot.strings, &HEAP_TYPES);
    writer.default_type("inuse_space");
    writer.taken(snapshot.taken_unix_us(), snapshot.capture.to_us);
    if let Some(heap) = &snapshot.heap {
        // One block in one byte is every block.
        writer.period("space", "bytes", heap.facts.rate_bytes.max(1));
        for totals in heap.stack_totals.iter() {
            writer.sample(totals.stack, &[totals.allocated_blocks, totals.allocated_bytes, 0, 0], &[]);
        }
        for (group, live) in groups(heap, snapshot) {
            let site = group.site.map(|site| snapshot.site_location(site));
            let labels = [("task_site", site.as_deref()), ("task", group.task)];
            writer.sample(
                group.stack,
                &[0, 0, live.blocks.round() as u64, live.bytes.round() as u64],
                &labels,
            );
        }
    }
    writer.finish()
}

/// Live blocks that differ in nothing that a profile says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    stack: StackIndex,
    site: Option<SiteIndex>,
    /// `live` or `ended`; none outside of a task.
    task: Option<&'static str>,
}

/// Estimated from samples.
#[derive(Default)]
struct Live {
    blocks: f64,
    bytes: f64,
}

fn groups(heap: &Heap, snapshot: &Snapshot) -> BTreeMap<Group, Live> {
    let live = snapshot.tasks.column("id");
    let group = |sample: &SampleRow| {
        let state = |is_live| if is_live { "live" } else { "ended" };
        let task = sample.task.map(|task| state(live.binary_search(&task.0).is_ok()));
        Group { stack: sample.stack, site: sample.task_site, task }
    };
    let mut groups: BTreeMap<Group, Live> = BTreeMap::new();
    for sample in heap.samples.iter() {
        let live = groups.entry(group(&sample)).or_default();
        live.blocks += 1.0 / sample.probability();
        live.bytes += sample.weight_bytes();
    }
    groups
}
