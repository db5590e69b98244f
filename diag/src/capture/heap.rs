//! The heap part of a snapshot: the live samples.

use std::collections::HashMap;

use diag_snapshot::{Heap, HeapFacts, SampleRow, SiteIndex, TaskId};

use super::stacks::Tree;
use crate::clock;
use crate::current::CurrentTask;
use crate::heap::{self, Sample};
use crate::task::SiteId;

/// The live samples, with their stacks in `stacks`; `None` if the service does not sample its heap.
/// `site` gives the row of a spawn site.
pub(super) fn heap(stacks: &mut Tree, site: impl Fn(SiteId) -> Option<SiteIndex>) -> Option<Heap> {
    let (facts, samples) = heap::live()?;
    let mut by_number = HashMap::new();
    let anchor = clock::anchor();
    let row = |sample: &Sample| {
        let task = CurrentTask::from_word(sample.task);
        SampleRow {
            birth: sample.birth,
            size_bytes: sample.size_bytes,
            rate_bytes: sample.rate_bytes,
            stack: *by_number.entry(sample.stack).or_insert_with(|| stacks.add(&heap::frames(sample.stack))),
            task: task.id().map(TaskId),
            task_site: task.site().and_then(&site),
            thread: sample.thread,
            born_us: anchor.us(sample.born_ns),
        }
    };
    let samples = samples.iter().map(row).collect();
    let facts = HeapFacts {
        rate_bytes: facts.rate_bytes,
        next_birth: facts.next_birth,
        refused: facts.refused,
        unwinder: facts.unwinder.to_owned(),
    };
    Some(Heap { facts, samples })
}
