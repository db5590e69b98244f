//! The sampled heap: blocks, and how they were sampled.

use serde::{Deserialize, Serialize};

use super::end::Outcome;
use super::heap_totals::{SiteTotalsRow, StackTotalsRow};
use super::histogram::{SiteAgeRow, StackAgeRow};
use super::site::SiteIndex;
use super::stack::StackIndex;
use super::task::TaskId;
use crate::schema::table;
use crate::table::Table;
use crate::units::{Bytes, Micros};

/// The sampled live heap: one row a sampled block that was not freed yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heap {
    /// Totals and settings.
    pub facts: HeapFacts,
    /// Live sampled blocks, by ascending birth number. Their stacks are in
    /// [`Snapshot::stacks`](crate::Snapshot::stacks).
    pub samples: Table<SampleRow>,
    /// What each stack has allocated and freed since start.
    pub stack_totals: Table<StackTotalsRow>,
    /// At what age the blocks of each stack were freed.
    pub stack_ages: Table<StackAgeRow>,
    /// What the tasks of each spawn site have allocated since start, and what of it was freed.
    pub site_totals: Table<SiteTotalsRow>,
    /// At what age these were freed.
    pub site_ages: Table<SiteAgeRow>,
}

impl Heap {
    /// Live bytes, as estimated from the samples.
    pub fn live_bytes(&self) -> f64 {
        self.samples.iter().map(|sample| sample.weight_bytes()).sum()
    }
}

/// Settings and totals of the heap sampler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapFacts {
    /// Mean bytes between two samples, when the snapshot was taken.
    pub rate_bytes: u64,
    /// Birth number that the next sample will get: samples born later are new in a later snapshot.
    pub next_birth: u64,
    /// Blocks that should have been sampled and were not, because there was no room.
    pub refused: u64,
    /// How stacks are taken: `frame-pointers`, `framehop` or `caller-only`.
    pub unwinder: String,
}

table! {
    /// A sampled block of the heap that is not freed.
    ///
    /// A block of size `s` at rate `R` is in the table with probability `p = 1 - exp(-s/R)`, whatever sizes it had
    /// before, and stands for `s / p` bytes. Before 1.4 this was off for a block that shrank, which counted with
    /// its largest size.
    SampleRow in samples, since 1.0 {
        /// Never reused in this process; the key that joins two snapshots.
        birth: u64 as Ascending;
        /// Its size now, bytes. Before 1.4 the largest that it had, unless every block is recorded.
        size_bytes: u64 as Plain of Bytes;
        /// The sampling rate at its birth, mean bytes between samples; 0 if every block is recorded.
        rate_bytes: u64 as Plain of Bytes;
        /// Who allocated it; the innermost frame.
        stack: StackIndex as Plain;
        /// The task that allocated it (not always its owner); none outside of a tracked task.
        task: Option<TaskId> as Delta;
        /// Spawn site of that task, which may have ended long ago.
        task_site: Option<SiteIndex> as Plain;
        /// How that task ended; none if it lives, or if that is not known.
        task_end: Option<Outcome> as Plain, since 1.3;
        /// Small number of the allocating thread.
        thread: u32 as Plain;
        /// Allocated at.
        born_us: u64 as Delta of Micros;
    }
}

impl SampleRow {
    /// Chance that a block of this size is a sample: `1 - exp(-size/rate)`, the Poisson process by
    /// bytes of the sampler. 1 if the rate is 0 (every block recorded).
    pub fn probability(&self) -> f64 {
        if self.rate_bytes == 0 {
            return 1.0;
        }
        -(-(self.size_bytes.max(1) as f64) / self.rate_bytes as f64).exp_m1()
    }

    /// Live bytes that this sample stands for: size over probability (Horvitz-Thompson).
    pub fn weight_bytes(&self) -> f64 {
        self.size_bytes as f64 / self.probability()
    }
}
