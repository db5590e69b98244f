//! Keeping a task's record: its spawn, each poll and its end, whatever it is that is polled.

use std::panic::Location;
use std::task::Waker;

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::completed::outcome_index;
use super::context;
use super::handle::TaskRef;
use super::record::{PollKind, SpawnInfo, TaskRecord, Trace};
use super::sampling::{Extra, timing_one_in};
use super::site::{self, Kind, Site, SiteId};
use super::totals::{Totals, add, lifetime_bucket, raise};
use super::{await_point, tokio_id, waker};
use crate::clock;
use crate::current::{self, Charged, CurrentTask};

/// What a spawn says of its task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spawn<'a> {
    pub(super) location: &'static Location<'static>,
    pub(super) kind: Kind,
    pub(super) name: Option<&'a str>,
    /// False if captures may not poll the task.
    pub(super) traced: bool,
}

impl Spawn<'_> {
    /// A task without a name.
    #[inline]
    pub(super) fn new(location: &'static Location<'static>, kind: Kind) -> Self {
        Spawn { location, kind, name: None, traced: true }
    }

    /// Records the spawn of a task whose code is of type `F`: its record for the wrapper, the one reference
    /// that its handle gets, and what charges it with its cell until the runtime has it.
    #[inline]
    pub(super) fn begin<F>(self) -> (Option<&'static TaskRecord>, TaskRef, Charged) {
        let site = Site::of::<F>(self.location, self.kind);
        let record = if crate::is_recording() { self.open(&site) } else { None };
        let charged = current::charge(record.map_or_else(CurrentTask::default, TaskRecord::current));
        (record, TaskRef::of_spawn(record), charged)
    }

    fn open(self, site: &Site) -> Option<&'static TaskRecord> {
        let (shard, site) = (context::shard().or_else(context::not_recorded)?, site::id_of(site));
        let (record, id) = context::take_record()?;
        add(&shard.spawned[usize::from(self.kind.is_counted_by_tokio())], 1);
        record.open(SpawnInfo {
            task: CurrentTask::new(id, site),
            parent: current::get(),
            spawned_ns: clock::stamp_ns(),
            label: self.name.map(Box::from),
            kind: self.kind,
            traced: self.traced,
        });
        Some(record)
    }
}

fn totals_of(site: SiteId) -> Option<&'static Totals> {
    context::shard().and_then(|shard| shard.of(site))
}

/// One poll: the task is current from [`start`](RecordedPoll::start) to the end of [`run`](RecordedPoll::run).
///
/// What every poll does is inlined into it; what few do is not.
pub(super) struct RecordedPoll {
    record: &'static TaskRecord,
    before: CurrentTask,
    started_ns: u64,
    extra: Extra,
    kind: PollKind,
}

impl RecordedPoll {
    /// A poll of the task in `record` begins, during which `task` is the current one. True if it is due to do more
    /// than to count.
    #[inline(always)]
    pub(super) fn start(record: &'static TaskRecord, task: CurrentTask) -> (Self, bool) {
        let started_ns = clock::stamp_ns();
        let (kind, woken_ns) = record.poll_start(started_ns, context::thread());
        if kind == PollKind::First {
            record.set_tokio_id(tokio_id::current_bits());
        }
        if is_long(started_ns, woken_ns) {
            count_delay(record, started_ns - woken_ns);
        }
        let before = current::replace(task);
        (RecordedPoll { record, before, started_ns, extra: Extra::NONE, kind }, context::is_poll_due())
    }

    /// As [`start`](RecordedPoll::start), of what has no waker of its own: no stacks are taken.
    #[inline]
    pub(super) fn start_without_stacks(record: &'static TaskRecord, task: CurrentTask) -> Self {
        let (mut poll, is_due) = RecordedPoll::start(record, task);
        if is_due {
            poll.extra = context::extra_of_poll(poll.started_ns).with_stacks(false);
        }
        poll
    }

    /// True if the poll needs to be [prepared](RecordedPoll::prepare) also where it is not due for more.
    #[inline(always)]
    pub(super) fn is_special(&self) -> bool {
        self.kind != PollKind::Later
    }

    /// Prepares the poll of a task, which the runtime polls with this waker, in the function with this stack pointer.
    #[inline(always)]
    pub(super) fn prepare(&mut self, is_due: bool, runtimes: &Waker, sp: u64) {
        self.extra = prepare(self.record, (self.kind, is_due), self.started_ns, runtimes, sp);
    }

    /// True if the poll is to get the waker that takes stacks.
    #[inline(always)]
    pub(super) fn takes_stacks(&self) -> bool {
        self.extra.takes_stacks()
    }

    /// Does the work of the poll, and records how that ended; `is_ready` says of its result whether it was the last.
    #[inline(always)]
    pub(super) fn run<T>(&self, work: impl FnOnce() -> T, is_ready: impl FnOnce(&T) -> bool) -> T {
        let on_panic = OnPanic(self);
        let result = work();
        std::mem::forget(on_panic);
        let is_ready = is_ready(&result);
        if self.kind == PollKind::First && !is_ready {
            self.record.keep_runtime_waker();
        }
        self.settle(is_ready.then_some(Outcome::Done));
        result
    }

    #[inline(always)]
    fn settle(&self, ending: Option<Outcome>) {
        let now_ns = clock::stamp_ns();
        if let PollKind::Traced(trace) = self.kind {
            self.traced_end(trace, now_ns, ending);
        } else {
            self.take_time(now_ns);
            if self.extra.takes_stacks() {
                await_point::end(self.record);
            }
            self.record.poll_end(now_ns, ending);
        }
        current::replace(self.before);
    }

    /// Adds the time of the poll, if that is known.
    ///
    /// A poll over two ticks of the coarse clock is known well enough from that and counts as it is;
    /// of the shorter ones, each timed one stands for [`timing_one_in`]. Time in
    /// [`block_in_place`](super::block_in_place) is not the poll's.
    #[inline(always)]
    fn take_time(&self, now_ns: u64) {
        if is_long(now_ns, self.started_ns) {
            self.add_time((now_ns - self.started_ns).saturating_sub(context::take_in_place_ns()), 1);
        } else if self.extra.is_some() {
            self.take_precise_time();
        }
    }

    #[cold]
    #[inline(never)]
    fn take_precise_time(&self) {
        let started_ns @ 1.. = self.extra.started_ns() else { return };
        self.add_time(clock::precise_ns().saturating_sub(started_ns), timing_one_in().into());
    }

    #[cold]
    #[inline(never)]
    fn add_time(&self, took_ns: u64, stands_for: u64) {
        self.record.add_time(took_ns, took_ns * stands_for);
        if let Some(totals) = self.record.current().site().and_then(totals_of) {
            totals.add_poll_time(took_ns, stands_for);
        }
    }

    #[cold]
    #[inline(never)]
    fn traced_end(&self, trace: Trace, now_ns: u64, ending: Option<Outcome>) {
        if !trace.unrecorded {
            self.take_time(now_ns);
        }
        let moved = self.extra.takes_stacks() && await_point::end(self.record);
        if let Some(recovered) = self.record.traced_end(trace, now_ns, ending, moved)
            && let Some(totals) = self.record.current().site().and_then(totals_of)
        {
            totals.add_recovered(recovered);
        }
    }
}

/// True if from `since_ns` to `now_ns` surely more than one tick of the coarse clock passed. Never if the stamps are
/// of two threads and the wrong way round.
#[inline(always)]
fn is_long(now_ns: u64, since_ns: u64) -> bool {
    now_ns.wrapping_sub(since_ns) as i64 >= clock::two_ticks_ns() as i64
}

/// See [`RecordedPoll::prepare`]. Not given the poll, which thus stays in registers.
#[inline(never)]
fn prepare(
    record: &'static TaskRecord,
    (kind, is_due): (PollKind, bool),
    now_ns: u64,
    runtimes: &Waker,
    sp: u64,
) -> Extra {
    if kind == PollKind::First {
        waker::learn(record, runtimes);
    }
    let extra = if is_due { context::extra_of_poll(now_ns) } else { Extra::NONE };
    let wanted = match kind {
        PollKind::First | PollKind::Rested => context::has_units_left(now_ns),
        PollKind::Traced(_) => true,
        PollKind::Later => extra.takes_stacks(),
    };
    let asked = matches!(kind, PollKind::Traced(_));
    extra.with_stacks(wanted && waker::is_known(record, runtimes) && await_point::begin(record, sp, asked))
}

/// Records the end of a poll that unwinds.
struct OnPanic<'a>(&'a RecordedPoll);

impl Drop for OnPanic<'_> {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        self.0.settle(Some(Outcome::Panicked));
    }
}

#[cold]
fn count_delay(record: &TaskRecord, delay_ns: u64) {
    if let Some(totals) = record.current().site().and_then(totals_of) {
        totals.add_delay(delay_ns);
    }
}

/// The end of a task: it is current while its future drops, so that what destructors do is charged
/// to it, and recorded when that is done.
pub(super) struct EndGuard {
    record: &'static TaskRecord,
    before: CurrentTask,
}

impl EndGuard {
    /// The future of `record` is about to be dropped, while `task` is the current one.
    #[inline]
    pub(super) fn start(record: &'static TaskRecord, task: CurrentTask) -> Self {
        record.start_drop();
        EndGuard { record, before: current::replace(task) }
    }
}

impl Drop for EndGuard {
    #[inline]
    fn drop(&mut self) {
        current::replace(self.before);
        count_end(self.record);
        if self.record.close() {
            context::free_record(self.record);
        }
    }
}

fn count_end(record: &TaskRecord) {
    let Some(shard) = context::shard() else { return };
    let (mut end, busy_ns, longest_ns) = record.end(clock::stamp_ns);
    if end.cancel_bits == 0 && matches!(end.outcome, Outcome::Cancelled | Outcome::NeverPolled) {
        end.cancel_bits = Cancel { by: record.unasked(), at_ns: None }.bits();
    }
    shard.completed.push(end);
    #[cfg(feature = "heap")]
    crate::owner_outcomes::end(end.id, end.outcome);
    let Some(totals) = shard.of(end.site) else { return };
    add(&totals.ended[outcome_index(end.outcome)], 1);
    add(&totals.polls, end.polls);
    if busy_ns != 0 {
        add(&totals.busy_ns, busy_ns);
        raise(&totals.longest_poll_ns, longest_ns);
    }
    add(&totals.lifetimes[lifetime_bucket(end.ended_ns.saturating_sub(end.spawned_ns))], 1);
}
