//! The heap part of a snapshot: the live samples, and what was allocated and freed since start.

use std::collections::{BTreeMap, HashMap};

use diag_snapshot::{
    Heap, HeapFacts, SampleRow, SiteAgeRow, SiteIndex, SiteTotalsRow, StackAgeRow, StackIndex,
    StackTotalsRow, TaskId,
};

use super::stacks::Tree;
use crate::clock;
use crate::current::CurrentTask;
use crate::heap::{self, Sample, Totals};
use crate::owner_outcomes;
use crate::task::SiteId;

/// The live samples, with their stacks in `stacks`; `None` if the service does not sample its heap.
/// `site` gives the row of a spawn site. Without stacks of them, the samples have one that says nothing, and there are no totals.
pub(super) fn heap(
    stacks: &mut Tree,
    has_stacks: bool,
    site: impl Fn(SiteId) -> Option<SiteIndex>,
) -> Option<Heap> {
    let _kept = heap::keep_stacks();
    let (facts, samples) = heap::live()?;
    let mut rows = HashMap::new();
    let frames = |number: u32| if has_stacks { heap::frames(number) } else { Default::default() };
    let mut stack = |number: u32| *rows.entry(number).or_insert_with(|| stacks.add(&frames(number)));
    let anchor = clock::anchor();
    let row = |sample: &Sample| {
        let task = CurrentTask::from_word(sample.task);
        SampleRow {
            birth: sample.birth,
            size_bytes: sample.size_bytes,
            rate_bytes: sample.rate_bytes,
            stack: stack(sample.stack),
            task: task.id().map(TaskId),
            task_site: task.site().and_then(&site),
            task_end: task.id().and_then(owner_outcomes::outcome),
            thread: sample.thread,
            born_us: anchor.us(sample.born_ns),
        }
    };
    let samples = samples.iter().map(row).collect();
    let facts = HeapFacts {
        rate_bytes: facts.rate_bytes,
        next_birth: facts.next_birth,
        refused: facts.dropped,
        unwinder: facts.unwinder.to_owned(),
    };
    let mut heap = Heap { facts, samples, ..Heap::default() };
    if !has_stacks {
        return Some(heap);
    }
    let totals = heap::totals();
    // Several numbers may be of one stack, or of one site.
    let by_stack = summed(&totals.by_stack, |number| Some(stack(number)));
    by_stack.iter().for_each(|(&stack, totals)| push_stack(&mut heap, stack, totals));
    let by_site = summed(&totals.by_site, |number| site(SiteId(number)));
    by_site.iter().for_each(|(&site, totals)| push_site(&mut heap, site, totals));
    Some(heap)
}

/// The totals by the rows that the numbers have; those without a row are left out.
fn summed<N: Copy, R: Ord>(
    totals: &[(N, Totals)],
    mut row: impl FnMut(N) -> Option<R>,
) -> BTreeMap<R, Totals> {
    let mut by_row: BTreeMap<R, Totals> = BTreeMap::new();
    for (number, totals) in totals {
        if let Some(row) = row(*number) {
            *by_row.entry(row).or_default() += totals;
        }
    }
    by_row
}

fn push_stack(heap: &mut Heap, stack: StackIndex, totals: &Totals) {
    heap.stack_totals.push(StackTotalsRow {
        stack,
        allocated_blocks: totals.allocated_blocks,
        allocated_bytes: totals.allocated_bytes,
        freed_blocks: totals.freed_blocks,
        freed_bytes: totals.freed_bytes,
    });
    ages(totals).for_each(|(bucket, count)| heap.stack_ages.push(StackAgeRow { stack, bucket, count }));
}

fn push_site(heap: &mut Heap, site: SiteIndex, totals: &Totals) {
    heap.site_totals.push(SiteTotalsRow {
        site,
        allocated_blocks: totals.allocated_blocks,
        allocated_bytes: totals.allocated_bytes,
        freed_blocks: totals.freed_blocks,
        freed_bytes: totals.freed_bytes,
    });
    ages(totals).for_each(|(bucket, count)| heap.site_ages.push(SiteAgeRow { site, bucket, count }));
}

/// The buckets that are not empty.
fn ages(totals: &Totals) -> impl Iterator<Item = (u32, u64)> {
    (0..).zip(totals.ages.map(u64::from)).filter(|(_, count)| *count > 0)
}
