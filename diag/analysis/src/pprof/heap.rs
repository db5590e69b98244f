//! The heap: live blocks with their tasks, and what was allocated since start.

use std::collections::BTreeMap;

use super::writer::{Key, Writer};
use crate::Analysis;
use crate::allocation_sites::{AllocationSites, Part};
use crate::heap_profile::AllocStats;
use crate::heap_stacks::TaskFate;
use diag_snapshot::{Heap, SiteIndex};

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
        writer.period("space", "bytes", period(heap));
        for row in rows(analysis) {
            writer.sample(row.part, &row.values, &row.labels());
        }
    }
    writer.finish()
}

/// The heap at one moment, without the rest of a snapshot, for [`heap_delta`].
pub struct HeapMoment {
    taken_unix_us: u64,
    period: u64,
    rows: Vec<Row>,
    stacks: AllocationSites,
}

impl HeapMoment {
    /// Takes the heap of a snapshot; none if it is not sampled.
    pub fn of(analysis: Analysis) -> Option<Self> {
        let snapshot = analysis.snapshot();
        let (taken_unix_us, period) = (snapshot.taken_unix_us(), period(snapshot.heap.as_ref()?));
        let rows = rows(&analysis);
        Some(HeapMoment { taken_unix_us, period, rows, stacks: analysis.into_stacks() })
    }
}

/// What was added to each stack from one moment of a process to another, as a gzip'd profile: less than 0 where more
/// was freed. Stacks to which nothing was added are left out.
pub fn heap_delta(before: &HeapMoment, after: &HeapMoment) -> Vec<u8> {
    let mut writer = Writer::new(&before.stacks.named, &HEAP_TYPES);
    writer.default_type("inuse_space");
    writer.taken(after.taken_unix_us, after.taken_unix_us.saturating_sub(before.taken_unix_us));
    writer.period("space", "bytes", after.period);
    let mut sums: BTreeMap<Key, [i64; 4]> = BTreeMap::new();
    for (moment, sign) in [(before, -1), (after, 1)] {
        writer.go_on_with(&moment.stacks.named);
        for row in &moment.rows {
            let sum = sums.entry(writer.key(row.part, &row.labels())).or_default();
            for (sum, value) in sum.iter_mut().zip(row.values) {
                *sum = sum.saturating_add(sign * i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
    }
    for (key, sum) in sums.into_iter().filter(|(_, sum)| *sum != [0; 4]) {
        writer.add(key, sum.to_vec());
    }
    writer.finish()
}

/// One block in one byte is every block.
fn period(heap: &Heap) -> u64 {
    heap.facts.rate_bytes.max(1)
}

/// The values of one sample.
struct Row {
    part: Part,
    task_site: Option<String>,
    task: Option<TaskFate>,
    values: [u64; 4],
}

impl Row {
    fn labels(&self) -> [(&'static str, Option<&str>); 2] {
        [("task_site", self.task_site.as_deref()), ("task", self.task.map(TaskFate::as_str))]
    }
}

fn rows(analysis: &Analysis) -> Vec<Row> {
    let allocated = totals(analysis).into_iter().map(|(part, since_start)| Row {
        part,
        task_site: None,
        task: None,
        values: [since_start.allocated_blocks, since_start.allocated_bytes, 0, 0],
    });
    let in_use = groups(analysis).into_iter().map(|((part, site, task), (blocks, bytes))| Row {
        part,
        task_site: site.map(|site| analysis.snapshot().site_location(site)),
        task,
        values: [0, 0, blocks.round() as u64, bytes.round() as u64],
    });
    allocated.chain(in_use).collect()
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
