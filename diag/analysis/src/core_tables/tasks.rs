//! Tasks: what the records say of those that lived and of those that had ended and were held.
//!
//! The bits of each word are those of version 1 of the [layout](super::layout); the recorder's `task/record` and
//! `task/state.rs` say why they are so.

use diag_snapshot::{
    CancelBy, LabelRow, Outcome, SiteIndex, Strings, Table, TaskId, TaskRow, TaskState, ZombieRow,
};

use super::labels::{Labels, Said};
use super::layout::Layout;
use super::library::{self, Library};
use super::memory::Memory;
use super::process::{Clock, Notes};
use super::sites::Sites;

/// Of `state`.
mod state {
    pub(super) const WAKERS: u64 = (1 << 22) - 1;
    pub(super) const OWNER: u64 = 1 << 23;
    pub(super) const RUNTIME_WAKER: u64 = 1 << 24;
    pub(super) const FOREIGN: u64 = 1 << 27;
    pub(super) const HALF_ROUND: u64 = 1 << 30;
    pub(super) const ROUND: u64 = 1 << 31;
    pub(super) const HANDLES_BIT: u32 = 32;
    pub(super) const WAKES_BIT: u32 = 48;
}

/// Of `wakes`: a poll may be owed that no wake shows.
const OWED: u64 = 1 << 63;
/// In the place of stacks: the future was being dropped, or nothing took a waker; from the last on no number is as high.
const DROPPING: u32 = u32::MAX;
const NO_STACKS: u32 = u32::MAX - 2;
const STACK_MARKS: u32 = NO_STACKS;
/// Of `traces`.
const ENDING: u32 = (1 << 6) - 1;
const UNRECORDED: u32 = 1 << 7;
const ASKED_BIT: u32 = 8;
const MAX_ASKED: u32 = (1 << 12) - 1;
const SELF_WAKES_BIT: u32 = 20;
/// Of `woken_by`.
const BY_THREAD: u64 = 1 << 63;
const DISPLACED: u64 = 1 << 62;

/// A task's id and site in one word; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskWord(pub(super) u64);

impl TaskWord {
    const SITE_BITS: u32 = 20;

    /// The id.
    pub(super) fn id(self) -> Option<u64> {
        (self.0 != 0).then_some(self.0 >> Self::SITE_BITS)
    }

    /// The number of the site.
    pub(super) fn site(self) -> Option<u32> {
        (self.0 != 0).then_some((self.0 & ((1 << Self::SITE_BITS) - 1)) as u32)
    }
}

/// How a task ended, by the recorder's number.
pub(super) fn outcome(number: u32) -> Option<Outcome> {
    [Outcome::Done, Outcome::Cancelled, Outcome::Panicked, Outcome::NeverPolled].get(number as usize).copied()
}

/// Who asked a task to stop, and when.
#[derive(Clone, Copy)]
pub(super) struct Cancelled {
    pub(super) by: CancelBy,
    pub(super) at_us: Option<u64>,
}

impl Cancelled {
    /// From `by: 3 bits | time: 29 bits`, a unit of which is 2^26 ns.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        const TIME_BITS: u32 = 29;
        const UNKNOWN: u64 = (1 << TIME_BITS) - 1;
        let by = [
            CancelBy::Abort,
            CancelBy::SetAborted,
            CancelBy::SetDropped,
            CancelBy::LocalSetDropped,
            CancelBy::RuntimeShutdown,
            CancelBy::Unknown,
        ];
        let by = *by.get((bits >> TIME_BITS).checked_sub(1)? as usize)?;
        let time = u64::from(bits) & UNKNOWN;
        Some(Cancelled { by, at_us: (time != UNKNOWN).then_some((time << 26) / 1_000) })
    }
}

/// What one record says.
struct Reading {
    task: TaskWord,
    parent: TaskWord,
    state: u64,
    seq: u64,
    spawned_ns: u64,
    moved_ns: u64,
    woken_ns: u64,
    busy_ns: u64,
    longest_us: u64,
    tokio_id: u64,
    wakes: u64,
    self_wakes: u64,
    woken_by: u64,
    thread: u32,
    cancel: Option<Cancelled>,
    traces: u32,
    stack: u32,
    beside: u64,
}

/// What the last poll of a parked task left behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ParkedAt {
    Stacks(u32),
    Nothing,
}

impl Reading {
    fn is_alive(&self) -> bool {
        self.state & state::OWNER != 0
    }

    /// Wakers were counted from its first poll on.
    fn is_countable(&self) -> bool {
        self.state & (state::RUNTIME_WAKER | state::FOREIGN) == state::RUNTIME_WAKER
    }

    fn wakers(&self) -> u32 {
        (self.state & state::WAKERS) as u32
    }

    fn handles(&self) -> u32 {
        u32::from((self.state >> state::HANDLES_BIT) as u16)
    }

    /// Wakes that no poll has found.
    fn wakes_since(&self) -> u16 {
        ((self.state >> state::WAKES_BIT) as u16).wrapping_sub(self.wakes as u16)
    }

    /// A poll that somebody asked for is under way, which counts as none.
    fn is_unrecorded(&self) -> bool {
        self.traces & UNRECORDED != 0
    }

    fn outcome(&self) -> Option<Outcome> {
        outcome((self.traces & ENDING).checked_sub(1)?)
    }

    fn run_state(&self) -> TaskState {
        match self.seq {
            _ if !self.is_alive() => TaskState::Unknown,
            0 => TaskState::NeverPolled,
            seq if seq % 2 == 1 && !self.is_unrecorded() => TaskState::Polling,
            _ if self.wakes_since() != 0 || self.state & (state::HALF_ROUND | state::ROUND) != 0 => {
                TaskState::Woken
            }
            _ => TaskState::Idle,
        }
    }

    /// How sure it is that nothing could run it again; none if something could.
    fn lost(&self) -> Option<u32> {
        const LIKELY: u32 = 0;
        const PROVEN: u32 = 2;
        let is_over = self.outcome().is_some() || self.cancel.is_some() || self.stack == DROPPING;
        let is_without = self.is_countable() && self.wakers() == 0;
        let is_lost = self.run_state() == TaskState::Idle && !self.is_unrecorded() && is_without && !is_over;
        is_lost.then_some(if self.wakes & OWED != 0 { LIKELY } else { PROVEN })
    }

    fn parked_at(&self) -> Option<ParkedAt> {
        let is_parked =
            matches!(self.run_state(), TaskState::Idle | TaskState::Woken) && !self.is_unrecorded();
        match self.stack {
            _ if !is_parked => None,
            NO_STACKS => Some(ParkedAt::Nothing),
            stack => (stack > 0 && stack < STACK_MARKS).then_some(ParkedAt::Stacks(stack)),
        }
    }

    fn polls(&self) -> u64 {
        let asked = (self.traces >> ASKED_BIT) & MAX_ASKED;
        let seq = self.seq.saturating_sub(u64::from(self.is_unrecorded()));
        seq.div_ceil(2).saturating_sub(asked.into())
    }

    /// Without the one that every spawn is.
    fn all_wakes(&self) -> u64 {
        (self.wakes & !OWED).saturating_add(self.wakes_since().into()).saturating_sub(1)
    }

    fn all_self_wakes(&self) -> u64 {
        u64::from(self.traces >> SELF_WAKES_BIT) << 32 | self.self_wakes
    }
}

/// The tasks that were found, by ascending id.
pub(super) struct Found {
    all: Vec<Reading>,
    /// What a forked child had from its parent.
    inherited: Vec<Reading>,
}

/// What a snapshot has of them.
pub(super) struct Rows {
    pub(super) tasks: Table<TaskRow>,
    pub(super) zombies: Table<ZombieRow>,
    /// Where those alive were parked, as numbers of stacks.
    pub(super) parked: Vec<(TaskId, u32)>,
    pub(super) labels: Table<LabelRow>,
}

impl Found {
    /// Every record in use.
    pub(super) fn all(memory: &Memory<'_>, layout: &Layout, notes: &mut Notes) -> Self {
        let table = layout.table("tasks");
        let column = |name| table.column(name);
        let [task, state, parent, seq] = ["task", "state", "parent", "seq"].map(column);
        let [spawned_ns, moved_ns, woken_ns, busy_ns] =
            ["spawned_ns", "moved_ns", "woken_ns", "busy_ns"].map(column);
        let [longest_us, tokio_id, wakes, self_wakes] =
            ["longest_us", "tokio_id", "wakes", "self_wakes"].map(column);
        let [woken_by, thread, cancel, traces, stack, beside] =
            ["woken_by", "thread", "cancel", "traces", "stack", "beside"].map(column);
        let mut found: Vec<Reading> = table
            .records(memory)
            .filter(|(_, record)| task.of(record) != 0)
            .map(|(_, record)| Reading {
                task: TaskWord(task.of(record)),
                parent: TaskWord(parent.of(record)),
                state: state.of(record),
                seq: seq.of(record),
                spawned_ns: spawned_ns.of(record),
                moved_ns: moved_ns.of(record),
                woken_ns: woken_ns.of(record),
                busy_ns: busy_ns.of(record),
                longest_us: longest_us.of(record),
                tokio_id: tokio_id.of(record),
                wakes: wakes.of(record),
                self_wakes: self_wakes.of(record),
                woken_by: woken_by.of(record),
                thread: thread.small(record),
                cancel: Cancelled::from_bits(cancel.small(record)),
                traces: traces.small(record),
                stack: stack.small(record),
                beside: beside.of(record),
            })
            .collect();
        found.sort_by_key(|reading| reading.task);
        found.dedup_by_key(|reading| reading.task.id());
        notes.add(
            "core_task_records",
            "a record of a task, used or not, lay in memory that is not in the core",
            table.missing(memory),
        );
        // What a forked child has from its parent is left out, unless it was polled since.
        let (first_id, forked_ns) = (layout.fact("first_id"), layout.fact("forked_ns"));
        let is_own = |reading: &Reading| {
            reading.task.id().is_none_or(|id| id >= first_id) || reading.moved_ns > forked_ns
        };
        let (all, inherited) = found.into_iter().partition(is_own);
        Found { all, inherited }
    }

    /// How many are left out, as they are a parent's.
    pub(super) fn inherited(&self) -> u64 {
        self.inherited.len() as u64
    }

    /// How many of these live, and tokio counts them.
    pub(super) fn inherited_alive(&self, sites: &Sites) -> u64 {
        let is_counted = |reading: &&Reading| {
            reading.is_alive() && reading.task.site().is_some_and(|site| sites.is_counted_by_tokio(site))
        };
        self.inherited.iter().filter(is_counted).count() as u64
    }

    /// The oldest stamp; 0 without tasks.
    pub(super) fn oldest_ns(&self) -> u64 {
        self.all.iter().map(|reading| reading.spawned_ns).min().unwrap_or(0)
    }

    /// The newest stamp; 0 without tasks.
    pub(super) fn newest_ns(&self) -> u64 {
        let newest = |reading: &Reading| reading.spawned_ns.max(reading.moved_ns).max(reading.woken_ns);
        self.all.iter().map(newest).max().unwrap_or(0)
    }

    /// The rows of all, which their sites count, among `others`, those of `library`, by ascending id as well.
    pub(super) fn rows(
        &self,
        library: &Library<'_>,
        others: library::Rows,
        labels: &Labels<'_>,
        sites: &mut Sites,
        strings: &mut Strings,
        clock: &Clock,
    ) -> Rows {
        let (mut tasks, mut zombies) = (Table::default(), Table::default());
        let (mut parked, mut label_rows) = (Vec::new(), Table::default());
        let library::Rows { tasks: others, zombies: held } = others;
        let (mut rest, mut held) = (others.iter().cloned().peekable(), held.into_iter().peekable());
        for reading in &self.all {
            let site = reading.task.site().and_then(|site| sites.row_of(site));
            let (Some(id), Some(site)) = (reading.task.id().map(TaskId), site) else { continue };
            if !reading.is_alive() {
                while let Some(other) = held.next_if(|other| other.id < id) {
                    zombies.push(other);
                }
                zombies.push(reading.zombie(id, site, sites, clock));
                continue;
            }
            while let Some(other) = rest.next_if(|other| other.id < id) {
                tasks.push(other);
            }
            let said = if reading.beside == 0 { Said::default() } else { labels.of(reading.beside) };
            for (key, value) in &said.labels {
                label_rows.push(LabelRow {
                    task: id,
                    key: strings.intern(key),
                    value: strings.intern(value),
                });
            }
            sites.count_alive(site);
            let name = said.name.map(|name| strings.intern(&name));
            let row = TaskRow { name, ..reading.row(id, site, sites, clock) };
            // A future inside of a task without a record was made by that task, as far as anybody knows.
            let poller = match row.parent {
                None => library.place_of(reading.tokio_id).and_then(|place| others.get(place)),
                Some(_) => None,
            };
            tasks.push(poller.map_or(row, |task| TaskRow {
                parent: Some(task.id),
                parent_site: Some(task.site),
                ..row
            }));
            if let Some(ParkedAt::Stacks(number)) = reading.parked_at() {
                parked.push((id, number));
            }
        }
        rest.for_each(|other| tasks.push(other));
        held.for_each(|other| zombies.push(other));
        Rows { tasks, zombies, parked, labels: label_rows }
    }
}

impl Reading {
    fn row(&self, id: TaskId, site: SiteIndex, sites: &Sites, clock: &Clock) -> TaskRow {
        let counted = self.is_countable();
        let woken_by = Some(self.woken_by).filter(|&by| counted && by != 0);
        let by_thread = woken_by.filter(|by| by & BY_THREAD != 0).map(|by| by as u32);
        let by_task = woken_by.filter(|by| by & (BY_THREAD | DISPLACED) == 0).map(TaskWord);
        let lost = self.lost();
        let is_displaced = lost.is_some() && self.woken_by & (BY_THREAD | DISPLACED) == DISPLACED;
        let displaced_by = is_displaced.then_some(TaskWord(self.woken_by & !DISPLACED));
        let site_of = |task: TaskWord| task.site().and_then(|site| sites.row_of(site));
        TaskRow {
            tokio_id: Some(self.tokio_id).filter(|&id| id > 0),
            parent: self.parent.id().map(TaskId),
            parent_site: site_of(self.parent),
            state: self.run_state(),
            last_poll_us: (self.moved_ns > 0).then(|| clock.us(self.moved_ns)),
            polls: self.polls(),
            busy_ns: self.busy_ns,
            longest_poll_ns: self.longest_us.saturating_mul(1_000),
            wakers: counted.then(|| self.wakers()),
            handles: Some(self.handles()),
            wakes: counted.then(|| self.all_wakes()),
            self_wakes: counted.then(|| self.all_self_wakes()),
            woken_us: (counted && self.woken_ns > 0).then(|| clock.us(self.woken_ns)),
            woken_by: by_task.and_then(TaskWord::id).map(TaskId),
            woken_by_site: by_task.and_then(site_of),
            woken_by_thread: by_thread,
            lost,
            displaced_by: displaced_by.and_then(TaskWord::id).map(TaskId),
            displaced_by_site: displaced_by.and_then(site_of),
            waker_taken: self.parked_at().map(|at| at != ParkedAt::Nothing),
            thread: (self.thread > 0).then_some(self.thread),
            cancel_us: self.cancel.and_then(|cancel| cancel.at_us),
            cancel_by: self.cancel.map(|cancel| cancel.by),
            id,
            site,
            spawned_us: clock.us(self.spawned_ns),
            ..TaskRow::default()
        }
    }

    fn zombie(&self, id: TaskId, site: SiteIndex, sites: &Sites, clock: &Clock) -> ZombieRow {
        ZombieRow {
            id,
            site,
            outcome: self.outcome().unwrap_or(Outcome::Unknown),
            spawned_us: clock.us(self.spawned_ns),
            ended_us: clock.us(self.moved_ns),
            handles: self.handles(),
            wakers: self.wakers(),
            cell_bytes: sites.cell_bytes(site),
            ..ZombieRow::default()
        }
    }
}
