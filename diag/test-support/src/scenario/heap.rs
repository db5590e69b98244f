//! Memory that is allocated and freed, and what a sampler has of it.

use std::collections::BTreeMap;

use diag_snapshot::{
    AllocatorStats, Heap, Resident, Resources, SampleRow, SiteIndex, Snapshot, StackAgeRow, StackIndex,
    StackTotalsRow, TaskId,
};

use super::{Service, us};
use crate::call_stack::call_stack;
use crate::random::XorShift;

/// Mean distance between samples of the heap.
pub const RATE_BYTES: u64 = 512 << 10;

/// A piece of memory.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Function that allocates it, by way of a `Vec`; behind it those that call it, if they matter: `callee;caller`.
    pub function: &'static str,
    /// Its size, as it was asked for.
    pub size_bytes: u64,
    /// Seconds since start, as all times here.
    pub born: f64,
    /// When it is given back, if it ever is.
    pub freed: Option<f64>,
    /// Place of the allocating task in [`Service::tasks`].
    pub task: Option<usize>,
}

/// What of `service` is sampled at `now`. Which blocks are sampled depends on their place in the list alone.
pub(super) fn heap(
    service: &Service,
    now: f64,
    snapshot: &mut Snapshot,
    index: impl Fn(u32) -> SiteIndex,
) -> Heap {
    let mut heap = Heap::default();
    heap.facts.rate_bytes = RATE_BYTES;
    let mut random = XorShift::new(77);
    let mut stacks = BTreeMap::new();
    let mut totals: BTreeMap<StackIndex, StackTotalsRow> = BTreeMap::new();
    let mut ages: BTreeMap<(StackIndex, u32), u64> = BTreeMap::new();
    for (birth, block) in (1..).zip(service.blocks.iter().take_while(|block| block.born <= now)) {
        let chance = random.uniform();
        let task = block.task.and_then(|i| Some((i, service.tasks.get(i)?)));
        let sample = SampleRow {
            birth,
            size_bytes: block.size_bytes,
            rate_bytes: RATE_BYTES,
            stack: *stacks.entry(block.function).or_insert_with(|| stack(snapshot, block.function)),
            task: task.map(|(i, _)| TaskId(i as u64 + 1)),
            task_site: task.map(|(_, task)| index(task.line)),
            task_end: None,
            thread: 0,
            born_us: us(block.born),
        };
        if chance <= sample.probability() {
            let row = totals.entry(sample.stack).or_insert_with(|| no_totals(sample.stack));
            let bytes = sample.weight_bytes() as u64;
            row.allocated_blocks += bytes / block.size_bytes;
            row.allocated_bytes += bytes;
            match block.freed.filter(|&freed| freed <= now) {
                None => heap.samples.push(sample),
                Some(freed) => {
                    row.freed_blocks += bytes / block.size_bytes;
                    row.freed_bytes += bytes;
                    let bucket = (((freed - block.born) * 1e3) as u64).max(1).ilog2();
                    *ages.entry((sample.stack, bucket)).or_default() += 1;
                }
            }
        }
        heap.facts.next_birth = birth + 1;
    }
    heap.stack_totals = totals.into_values().collect();
    heap.stack_ages =
        (ages.into_iter()).map(|((stack, bucket), count)| StackAgeRow { stack, bucket, count }).collect();
    heap
}

/// Resident memory of which everything but 10 MiB is known: the system and the allocator count, whatever is sampled.
pub(super) fn resources(heap_bytes: u64) -> Resources {
    const MIB: u64 = 1 << 20;
    let rss_bytes = heap_bytes + 27 * MIB;
    let resident = Resident {
        rss_bytes,
        files_bytes: 8 * MIB,
        stacks_bytes: MIB,
        diag_bytes: 3 * MIB,
        ..Resident::default()
    };
    let (name, held_bytes) = ("glibc malloc".to_owned(), 5 * MIB);
    let allocator = AllocatorStats { name, in_use_bytes: heap_bytes, held_bytes };
    Resources {
        rss_bytes: Some(rss_bytes),
        resident: Some(resident),
        allocator: Some(allocator),
        ..Resources::default()
    }
}

fn no_totals(stack: StackIndex) -> StackTotalsRow {
    let (allocated_blocks, allocated_bytes, freed_blocks, freed_bytes) = (0, 0, 0, 0);
    StackTotalsRow { stack, allocated_blocks, allocated_bytes, freed_blocks, freed_bytes }
}

/// `function` calls `RawVec::grow`, which calls the allocator.
fn stack(snapshot: &mut Snapshot, function: &str) -> StackIndex {
    let line = snapshot.stacks.frames.len() as u32 + 100;
    let grow = "<alloc::raw_vec::RawVec<T> as svc::Grow>::grow";
    let calls = [("diag::heap::alloc", line + 2), (grow, line + 1)];
    let calls = calls.into_iter().chain(function.split(';').map(|function| (function, line)));
    call_stack(snapshot, calls.map(|(function, line)| (function, Some(("svc.rs", line)))))
}
