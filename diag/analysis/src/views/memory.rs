//! Where resident memory is, for people and in JSON.

use serde::Serialize;

use super::Estimate;
use crate::memory_breakdown::MemoryBreakdown;
use crate::{Analysis, human};

/// Resident memory of one snapshot, part by part; a part that is not known is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// All of it.
    pub rss_bytes: u64,
    /// Live blocks of the Rust heap.
    pub heap: Option<Estimate>,
    /// Free memory that the allocator keeps.
    pub held_free_bytes: Option<u64>,
    /// Stacks of threads.
    pub stacks_bytes: Option<u64>,
    /// Code and other mapped files.
    pub files_bytes: Option<u64>,
    /// The recorder's own tables.
    pub diag_bytes: Option<u64>,
    /// Of no file: most of the other parts, and what was written of private mappings of files.
    pub anonymous_bytes: Option<u64>,
    /// What is in swap, and so not in any part.
    pub swapped_bytes: Option<u64>,
    /// How many mappings there are.
    pub mappings: Option<u64>,
    /// What no part explains; negative if more was allocated than is resident.
    pub unaccounted_bytes: i64,
    /// What the process may use at most, with all others of its control group; none if there is no limit.
    pub limit_bytes: Option<u64>,
    /// All of this for people.
    pub sentence: String,
    /// The parts with their names for people, the rest last.
    #[serde(skip)]
    pub parts: Vec<(&'static str, Option<i64>)>,
}

impl Analysis {
    /// Returns where resident memory is; none if that is not known.
    pub fn memory_view(&self) -> Option<Memory> {
        let split = self.memory()?;
        let resident = self.snapshot().capture.resources.resident.as_ref();
        let heap = self.heap().map(|heap| Estimate::of(&heap.live.bytes, heap.unseen_bytes));
        let with_interval = |heap: Estimate| format!("{} (95 %: {})", heap.estimate(), heap.interval());
        let size = heap.map(with_interval).or_else(|| split.heap_bytes.map(human::bytes));
        Some(Memory {
            rss_bytes: split.rss_bytes,
            heap,
            held_free_bytes: split.held_bytes,
            stacks_bytes: split.stacks_bytes,
            files_bytes: split.files_bytes,
            diag_bytes: split.diag_bytes,
            anonymous_bytes: resident.and_then(|resident| resident.anonymous_bytes),
            swapped_bytes: resident.and_then(|resident| resident.swapped_bytes),
            mappings: resident.and_then(|resident| resident.mappings),
            unaccounted_bytes: split.unaccounted_bytes,
            limit_bytes: self.memory_limit_view().map(|limit| limit.limit_bytes),
            sentence: split.sentence_with(&size.unwrap_or_default()),
            parts: parts(split),
        })
    }
}

fn parts(split: &MemoryBreakdown) -> Vec<(&'static str, Option<i64>)> {
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let parts = split.parts().into_iter().map(|(part, bytes)| (part, bytes.map(size)));
    parts.chain([("unaccounted (or error of the estimate)", Some(split.unaccounted_bytes))]).collect()
}
