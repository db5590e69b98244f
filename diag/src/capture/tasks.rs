//! Live tasks, sites with their totals, recent ends.
//!
//! Rows first, sites and totals after: so every row's site is known, and what came or went in between
//! shows in one number.

use diag_snapshot::{EndRow, Strings, Table, TaskId, TaskRow, TaskState};

use super::sites::Sites;
use crate::clock::Anchor;
use crate::task::ends::End;
use crate::task::slab::slab;
use crate::task::slot::{Look, Slot, polls};
use crate::task::{local, tokio_id, totals};

/// Recent ends in a file at the most.
const MAX_ENDS: usize = 1_024;

/// A task found in a slot, to be read when its turn by id comes.
struct Found {
    id: u64,
    slot: &'static Slot,
}

/// Tasks alive now, by ascending id: what the rows will be, in 16 bytes each.
pub(super) struct LiveTasks {
    found: Vec<Found>,
}

impl LiveTasks {
    /// Looks through all slots, and hands the memory of empty groups back on the way.
    pub(super) fn find() -> Self {
        let mut found = Vec::new();
        if let Some(slab) = slab() {
            slab.trim();
            found.extend(slab.slots().filter_map(|slot| slot.id().map(|id| Found { id, slot })));
        }
        // Ids were given in blocks, so this is mostly runs in order.
        found.sort_by_key(|found| found.id);
        LiveTasks { found }
    }

    /// Each one's row, if it still lives.
    pub(super) fn rows(&self, sites: &Sites, strings: &mut Strings, anchor: &Anchor) -> Table<TaskRow> {
        let mut table = Table::with_capacity(self.found.len());
        for found in &self.found {
            let Some(look) = found.slot.look().filter(|look| look.id == found.id) else { continue };
            let name = if look.labelled { name_of(found) } else { None };
            let Some(row) = row(&look, sites, anchor) else { continue };
            table.push(TaskRow { name: name.map(|name| strings.intern(&name)), ..row });
        }
        table
    }
}

/// The task's name, unless the task has ended meanwhile.
fn name_of(found: &Found) -> Option<String> {
    let slot = found.slot;
    let pinned = slot.pin()?;
    // SAFETY: pinned until the `unpin` below.
    let name = unsafe { slot.label() }.map(str::to_owned);
    if slot.unpin() {
        local::free_slot(slot);
    }
    name.filter(|_| pinned == found.id)
}

fn row(look: &Look, sites: &Sites, anchor: &Anchor) -> Option<TaskRow> {
    let state = match look.seq {
        0 => TaskState::NeverPolled,
        seq if seq % 2 == 1 => TaskState::Polling,
        _ => TaskState::Idle,
    };
    Some(TaskRow {
        // SAFETY: the slot holds what the task's own first poll stored.
        tokio_id: unsafe { tokio_id::number(look.tokio_id) },
        parent: look.parent.id().map(TaskId),
        parent_site: look.parent.site().and_then(|site| sites.row_of(site)),
        state,
        last_poll_us: (look.last_start_ns > 0).then(|| anchor.us(look.last_start_ns)),
        polls: polls(look.seq),
        busy_ns: look.busy_ns,
        longest_poll_ns: look.longest_ns,
        ..TaskRow::new(TaskId(look.id), sites.row_of(look.site)?, anchor.us(look.spawned_ns))
    })
}

/// The last ends of every thread.
pub(super) fn recent_ends() -> Vec<End> {
    let mut ends: Vec<End> = totals::all().flat_map(|shard| shard.ends.read()).collect();
    ends.sort_by_key(|end| end.ended_ns);
    ends.split_off(ends.len().saturating_sub(MAX_ENDS))
}

/// The row of an end that was read before the sites were collected.
pub(super) fn end_row(end: &End, sites: &Sites, anchor: &Anchor) -> Option<EndRow> {
    Some(EndRow {
        id: TaskId(end.id),
        site: sites.row_of(end.site)?,
        outcome: end.outcome,
        spawned_us: anchor.us(end.spawned_ns),
        ended_us: anchor.us(end.ended_ns),
        polls: end.polls,
        cancel_us: None,
        cancel_by: None,
    })
}
