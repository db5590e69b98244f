//! The last tasks that ended on each thread.

use diag_snapshot::{EndRow, Outcome, TaskId};

use super::layout::Layout;
use super::memory::Memory;
use super::process::Clock;
use super::sites::{Sites, shards};
use super::tasks::{Cancelled, outcome};

/// As many as a live snapshot has at the most.
const MAX_ENDS: usize = 1_024;
/// Words of each: id, what it was, when it was spawned and ended, polls.
const CELLS: usize = 5;

/// A task that ended.
pub(super) struct End {
    id: u64,
    site: u32,
    outcome: Outcome,
    cancel: Option<Cancelled>,
    spawned_ns: u64,
    pub(super) ended_ns: u64,
    polls: u64,
}

/// The last ones, oldest first.
pub(super) fn read(memory: &Memory<'_>, layout: &Layout) -> Vec<End> {
    let table = layout.table("shards");
    let (written, cells) = (table.column("ends_written"), table.column("ends"));
    let mut ends = Vec::new();
    for shard in shards(memory, layout) {
        let cells: Vec<u64> = cells.all(shard).collect();
        let (rings, _) = cells.as_chunks::<CELLS>();
        let written = written.of(shard);
        let len = rings.len() as u64;
        // The oldest of a full ring may be half written over by what comes next.
        let first = written.saturating_sub(len.saturating_sub(u64::from(written >= len)));
        let places = (first..written).filter_map(|at| usize::try_from(at.checked_rem(len)?).ok());
        ends.extend(places.filter_map(|place| End::of(rings.get(place)?)));
    }
    ends.sort_by_key(|end| end.ended_ns);
    ends.split_off(ends.len().saturating_sub(MAX_ENDS))
}

impl End {
    fn of([id, kind, spawned_ns, ended_ns, polls]: &[u64; CELLS]) -> Option<Self> {
        Some(End {
            id: *id,
            site: *kind as u32 >> 8,
            outcome: outcome((kind & 0xff) as u32)?,
            cancel: Cancelled::from_bits((kind >> 32) as u32),
            spawned_ns: *spawned_ns,
            ended_ns: *ended_ns,
            polls: *polls,
        })
    }

    /// As the file has it.
    pub(super) fn row(&self, sites: &Sites, clock: &Clock) -> Option<EndRow> {
        Some(EndRow {
            id: TaskId(self.id),
            site: sites.row_of(self.site)?,
            outcome: self.outcome,
            spawned_us: clock.us(self.spawned_ns),
            ended_us: clock.us(self.ended_ns),
            polls: self.polls,
            cancel_us: self.cancel.and_then(|cancel| cancel.at_us),
            cancel_by: self.cancel.map(|cancel| cancel.by),
        })
    }
}
