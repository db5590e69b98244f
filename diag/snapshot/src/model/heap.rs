//! The sampled heap: blocks, and how they were sampled.

use serde::{Deserialize, Serialize};

use super::cell::{Coded, narrow, none, some};
use super::end::Outcome;
use super::heap_totals::{SiteTotalsRow, StackTotalsRow};
use super::histogram::{SiteAgeRow, StackAgeRow};
use super::site::SiteIndex;
use super::stack::StackIndex;
use super::task::TaskId;
use crate::table::{Column, Row, Table, Target};

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

/// A live sampled block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRow {
    /// Never reused in this process; the key that joins two snapshots.
    pub birth: u64,
    /// Its size now, bytes. Before format 1.4 the largest that it had, unless every block is recorded.
    pub size_bytes: u64,
    /// The sampling rate at its birth, mean bytes between samples.
    pub rate_bytes: u64,
    /// Who allocated it; the innermost frame.
    pub stack: StackIndex,
    /// The task that allocated it (not always its owner); none outside of a tracked task.
    pub task: Option<TaskId>,
    /// Spawn site of that task, which may have ended long ago.
    pub task_site: Option<SiteIndex>,
    /// How that task ended; none if it lives, or if that is not known.
    pub task_end: Option<Outcome>,
    /// Small number of the allocating thread.
    pub thread: u32,
    /// Allocated at.
    pub born_us: u64,
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

impl Row for SampleRow {
    type Cells = [u64; 9];
    const TABLE: &'static str = "samples";
    const COLUMNS: &'static [Column] = &[
        Column::ascending("birth"),
        Column::plain("size_bytes"),
        Column::plain("rate_bytes"),
        Column::plain("stack").index(Target::Stacks),
        Column::delta("task").optional(),
        Column::plain("task_site").optional().index(Target::Sites),
        Column::plain("thread"),
        Column::delta("born_us"),
        Column::plain("task_end").optional(),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.birth,
            self.size_bytes,
            self.rate_bytes,
            self.stack.0.into(),
            some(self.task.map(|task| task.0)),
            some(self.task_site.map(|site| site.0)),
            self.thread.into(),
            self.born_us,
            some(self.task_end.map(Outcome::code)),
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [birth, size, rate, stack, task, task_site, thread, born_us, task_end] = *cells;
        SampleRow {
            birth,
            size_bytes: size,
            rate_bytes: rate,
            stack: StackIndex(narrow(stack)),
            task: none(task).map(TaskId),
            task_site: none(task_site).map(|site| SiteIndex(narrow(site))),
            thread: narrow(thread),
            born_us,
            task_end: none(task_end).map(Outcome::from_code),
        }
    }
}
