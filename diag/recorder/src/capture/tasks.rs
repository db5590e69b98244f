//! Tasks: live ones, ended ones that are still held, recent ends.
//!
//! Rows first, sites and totals after: so every row's site is known, and what came or went in between
//! shows in one number.

use diag_snapshot::{
    EndRow, LabelRow, Outcome, SiteIndex, Strings, Table, TaskId, TaskRow, TaskState, ZombieRow,
};

use super::awaits::Parked;
use super::library::Library;
use super::sites::{Moved, Sites};
use crate::clock::Anchor;
use crate::current::CurrentTask;
use crate::task::cancel::Cancel;
use crate::task::completed::Completed;
use crate::task::labels::Labels;
use crate::task::pinned::Pinned;
use crate::task::reading::{Lost, ParkedAt, RunState, TaskReading};
use crate::task::record::TaskRecord;
use crate::task::slab::slab;
use crate::task::wake_source::WakeSource;
use crate::task::{context, tokio_id, totals};

/// Recent ends in a file at the most.
const MAX_ENDS: usize = 1_024;

/// A task found in a record, to be read when its turn by id comes: 16 bytes each.
pub(super) struct Found {
    pub(super) task: CurrentTask,
    pub(super) record: &'static TaskRecord,
}

impl Found {
    /// What the record says now, if the task is still in it.
    pub(super) fn read(&self) -> Option<TaskReading> {
        self.record.read().filter(|reading| reading.task == self.task)
    }

    /// The task's name and labels, unless the task has ended meanwhile.
    fn beside(&self) -> Option<Labels> {
        Pinned::new(self.record, self.task)?.beside()
    }
}

/// Every record in use, by ascending id of its task. Hands the memory of empty chunks back on the way.
pub(super) fn find() -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(slab) = slab() {
        slab.trim();
        found.reserve(Moved::all().alive() as usize);
        found.extend(slab.records().filter_map(|record| record.task().map(|task| Found { task, record })));
    }
    // Ids were given in blocks, so this is mostly runs in order; the id is the high part of the word.
    found.sort_unstable_by_key(|found| found.task.word());
    found
}

/// Leaves out the tasks that a child has from its parent, and counts them, but for those that were polled since:
/// the others lie in runtimes whose threads the child does not have.
pub(super) fn take_inherited(found: &mut Vec<Found>) -> Vec<Found> {
    let is_inherited = |found: &mut Found| {
        let is_polled_here = |reading: TaskReading| reading.moved_ns > context::forked_ns();
        found.task.id().is_some_and(|id| !context::is_own(id)) && !found.read().is_some_and(is_polled_here)
    };
    found.extract_if(.., is_inherited).collect()
}

/// The tasks found.
pub(super) struct Rows {
    /// Those alive.
    pub(super) tasks: Table<TaskRow>,
    /// Those that ended and are still held.
    pub(super) zombies: Table<ZombieRow>,
    /// Where those alive are parked, as far as that is known.
    pub(super) parked: Vec<Parked>,
    /// The labels of those alive.
    pub(super) labels: Table<LabelRow>,
}

/// The rows of the tasks found, among `others` and `held`, those of `library`, which are in the order of their ids as well.
pub(super) fn rows(
    found: &[Found],
    library: &Library,
    others: Vec<TaskRow>,
    held: Vec<ZombieRow>,
    sites: &mut Sites,
    strings: &mut Strings,
    anchor: &Anchor,
) -> Rows {
    let (mut tasks, mut zombies) = (Table::with_capacity(found.len() + others.len()), Table::default());
    let (mut parked, mut labels) = (Vec::with_capacity(found.len()), Table::default());
    let (mut rest, mut held) = (others.iter().cloned().peekable(), held.into_iter().peekable());
    for found in found {
        let Some(reading) = found.read() else { continue };
        let Some((id, site)) = identity(reading.task, sites) else { continue };
        if reading.run_state() == RunState::Ended {
            while let Some(other) = held.next_if(|other| other.id < id) {
                zombies.push(other);
            }
            zombies.push(zombie(id, site, &reading, sites, anchor));
            continue;
        }
        while let Some(other) = rest.next_if(|other| other.id < id) {
            tasks.push(other);
        }
        let beside = if reading.has_beside { found.beside() } else { None };
        let name = beside.as_ref().and_then(Labels::name).map(|name| strings.intern(name));
        if let Some(beside) = &beside {
            beside.each(|key, value| {
                labels.push(LabelRow { task: id, key: strings.intern(key), value: strings.intern(value) });
            });
        }
        sites.count_alive(site);
        let row = TaskRow { name, ..row(id, site, &reading, sites, anchor) };
        // A future inside of a task without a record was made by that task, as far as anybody knows.
        let poller = match row.parent {
            None => library.place_of(reading.tokio_id).and_then(|place| others.get(place)),
            Some(_) => None,
        };
        tasks.push(poller.map_or(row, |task| child_of(task, row)));
        if let Some(ParkedAt::Stacks(number)) = reading.parked_at() {
            parked.push((id, number));
        }
    }
    rest.for_each(|other| tasks.push(other));
    held.for_each(|other| zombies.push(other));
    Rows { tasks, zombies, parked, labels }
}

fn child_of(parent: &TaskRow, row: TaskRow) -> TaskRow {
    TaskRow { parent: Some(parent.id), parent_site: Some(parent.site), ..row }
}

fn identity(task: CurrentTask, sites: &Sites) -> Option<(TaskId, SiteIndex)> {
    Some((TaskId(task.id()?), sites.row_of(task.site()?)?))
}

fn row(id: TaskId, site: SiteIndex, reading: &TaskReading, sites: &Sites, anchor: &Anchor) -> TaskRow {
    let counted = reading.state.is_countable();
    let woken_by = reading.woken_by.filter(|_| counted);
    let by_task = woken_by.and_then(|by| if let WakeSource::ByTask(task) = by { Some(task) } else { None });
    let by_thread =
        woken_by.and_then(|by| if let WakeSource::ByThread(thread) = by { Some(thread) } else { None });
    let lost = reading.lost();
    let displaced_by = match reading.woken_by {
        Some(WakeSource::Displaced(by)) if lost.is_some() => Some(by),
        _ => None,
    };
    TaskRow {
        // SAFETY: the record holds what the task's own first poll stored.
        tokio_id: unsafe { tokio_id::number(reading.tokio_id) },
        parent: reading.parent.id().map(TaskId),
        parent_site: reading.parent.site().and_then(|site| sites.row_of(site)),
        state: state(reading.run_state()),
        last_poll_us: (reading.moved_ns > 0).then(|| anchor.us(reading.moved_ns)),
        polls: reading.polls(),
        busy_ns: reading.busy_ns,
        longest_poll_ns: u64::from(reading.longest_us) * 1_000,
        wakers: counted.then(|| reading.state.wakers()),
        handles: Some(reading.state.handles()),
        wakes: counted.then(|| reading.wakes()),
        self_wakes: counted.then_some(reading.self_wakes),
        woken_us: (counted && reading.woken_ns > 0).then(|| anchor.us(reading.woken_ns)),
        woken_by: by_task.and_then(CurrentTask::id).map(TaskId),
        woken_by_site: by_task.and_then(CurrentTask::site).and_then(|site| sites.row_of(site)),
        woken_by_thread: by_thread,
        lost: lost.map(|lost| match lost {
            Lost::Likely => 0,
            Lost::Proven => 2,
        }),
        displaced_by: displaced_by.and_then(CurrentTask::id).map(TaskId),
        displaced_by_site: displaced_by.and_then(CurrentTask::site).and_then(|site| sites.row_of(site)),
        waker_taken: reading.parked_at().map(|at| at != ParkedAt::Nothing),
        thread: (reading.thread > 0).then_some(reading.thread),
        cancel_us: reading.cancel.and_then(asked_us),
        cancel_by: reading.cancel.map(|cancel| cancel.by),
        id,
        site,
        spawned_us: anchor.us(reading.spawned_ns),
        ..TaskRow::default()
    }
}

fn state(run_state: RunState) -> TaskState {
    match run_state {
        RunState::NeverPolled => TaskState::NeverPolled,
        RunState::Polling => TaskState::Polling,
        RunState::Woken => TaskState::Woken,
        RunState::Idle => TaskState::Idle,
        RunState::Ended => TaskState::Unknown,
    }
}

fn zombie(id: TaskId, site: SiteIndex, reading: &TaskReading, sites: &Sites, anchor: &Anchor) -> ZombieRow {
    ZombieRow {
        id,
        site,
        outcome: reading.outcome.unwrap_or(Outcome::Unknown),
        spawned_us: anchor.us(reading.spawned_ns),
        ended_us: anchor.us(reading.moved_ns),
        handles: reading.state.handles(),
        wakers: reading.state.wakers(),
        cell_bytes: sites.cell_bytes(site),
        ..ZombieRow::default()
    }
}

fn asked_us(cancel: Cancel) -> Option<u64> {
    cancel.at_ns.map(|ns| ns / 1_000)
}

/// The last completed tasks of every thread.
pub(super) fn recently_completed() -> Vec<Completed> {
    let mut completed: Vec<Completed> = totals::all().flat_map(|shard| shard.completed.read()).collect();
    completed.sort_by_key(|end| end.ended_ns);
    completed.split_off(completed.len().saturating_sub(MAX_ENDS))
}

/// The row of an end that was read before the sites were collected.
pub(super) fn end_row(end: &Completed, sites: &Sites, anchor: &Anchor) -> Option<EndRow> {
    Some(EndRow {
        id: TaskId(end.id),
        site: sites.row_of(end.site)?,
        outcome: end.outcome,
        spawned_us: anchor.us(end.spawned_ns),
        ended_us: anchor.us(end.ended_ns),
        polls: end.polls,
        cancel_us: end.cancel().and_then(asked_us),
        cancel_by: end.cancel().map(|cancel| cancel.by),
    })
}
