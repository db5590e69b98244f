//! The heap: live blocks with their tasks, and what was allocated since start.

use std::collections::BTreeMap;

use super::writer::Writer;
use crate::allocation_sites::{AllocationSites, Part};
use diag_snapshot::{Heap, SampleRow, SiteIndex, Snapshot};

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
pub fn heap(snapshot: &Snapshot) -> Vec<u8> {
    let mut writer = Writer::new(&snapshot.stacks, &snapshot.strings, &HEAP_TYPES);
    writer.default_type("inuse_space");
    writer.taken(snapshot.taken_unix_us(), snapshot.capture.to_us);
    if let Some(heap) = &snapshot.heap {
        // One block in one byte is every block.
        writer.period("space", "bytes", heap.facts.rate_bytes.max(1));
        let sites = AllocationSites::new(snapshot);
        for (part, [blocks, bytes]) in totals(heap, &sites) {
            writer.sample(part, &[blocks, bytes, 0, 0], &[]);
        }
        for (group, live) in groups(heap, &sites, snapshot) {
            let site = group.site.map(|site| snapshot.site_location(site));
            let labels = [("task_site", site.as_deref()), ("task", group.task)];
            let (blocks, bytes) = (live.blocks.round() as u64, live.bytes.round() as u64);
            writer.sample(group.part, &[0, 0, blocks, bytes], &labels);
        }
    }
    writer.finish()
}

/// Live blocks that differ in nothing that a profile says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    part: Part,
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

/// Blocks and bytes that were allocated since start.
fn totals(heap: &Heap, sites: &AllocationSites<'_>) -> BTreeMap<Part, [u64; 2]> {
    let mut all: BTreeMap<Part, [u64; 2]> = BTreeMap::new();
    for totals in heap.stack_totals.iter() {
        let [blocks, bytes] = all.entry(sites.part(totals.stack)).or_default();
        *blocks = blocks.saturating_add(totals.allocated_blocks);
        *bytes = bytes.saturating_add(totals.allocated_bytes);
    }
    all
}

fn groups(heap: &Heap, sites: &AllocationSites<'_>, snapshot: &Snapshot) -> BTreeMap<Group, Live> {
    let live = snapshot.tasks.id();
    let group = |sample: &SampleRow| {
        let state = |is_live| if is_live { "live" } else { "ended" };
        let task = sample.task.map(|task| state(live.find(task).is_some()));
        Group { part: sites.part(sample.stack), site: sample.task_site, task }
    };
    let mut groups: BTreeMap<Group, Live> = BTreeMap::new();
    for sample in heap.samples.iter() {
        let live = groups.entry(group(&sample)).or_default();
        live.blocks += 1.0 / sample.probability();
        live.bytes += sample.weight_bytes();
    }
    groups
}
