//! A recorded poll, of whatever it is that is polled.

use std::task::Waker;

use diag_snapshot::Outcome;

use super::await_point::Polled;
use super::context;
use super::labels::in_force;
use super::record::{Marked, PollKind, TaskRecord, Trace};
use super::sampling::{Extra, timing_one_in};
use super::site::SiteId;
use super::totals::Totals;
use super::{await_point, tokio_id, waker};
use crate::clock;
use crate::current::{self, CurrentTask};

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
        if is_long(started_ns, woken_ns) {
            count_delay(record, started_ns - woken_ns);
        }
        let before = current::replace(task);
        (RecordedPoll { record, before, started_ns, extra: Extra::NONE, kind }, context::is_poll_due())
    }

    /// As [`start`](RecordedPoll::start), of what has no waker: no stacks are taken.
    #[inline]
    pub(super) fn start_without_stacks(record: &'static TaskRecord, task: CurrentTask) -> Self {
        let (mut poll, is_due) = RecordedPoll::start(record, task);
        if is_due {
            poll.extra = context::extra_of_poll(poll.started_ns).with_stacks(false);
        }
        start_special(record, poll.kind, None);
        poll
    }

    /// When it began.
    #[inline(always)]
    pub(super) fn started_ns(&self) -> u64 {
        self.started_ns
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

    /// As [`prepare`](RecordedPoll::prepare), of a future inside of a task, where stacks may be taken if `may` says so.
    #[inline(always)]
    pub(super) fn prepare_sub(&mut self, is_due: bool, may: bool, sp: u64) {
        self.extra = prepare_sub(self.record, (self.kind, is_due), (self.started_ns, self.before), may, sp);
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
        if let PollKind::Marked(marked) = self.kind {
            self.marked_end(marked, now_ns, ending);
        } else {
            self.unmarked_end(now_ns, ending);
        }
        current::replace(self.before);
    }

    #[inline(always)]
    fn unmarked_end(&self, now_ns: u64, ending: Option<Outcome>) {
        self.take_time(now_ns);
        if self.extra.takes_stacks() {
            await_point::end(self.record);
        }
        self.record.poll_end(now_ns, ending);
    }

    #[cold]
    #[inline(never)]
    fn marked_end(&self, marked: Marked, now_ns: u64, ending: Option<Outcome>) {
        if self.record.state().has_labels() {
            in_force::leave();
        }
        if let Marked::Traced(trace) = marked {
            return self.traced_end(trace, now_ns, ending);
        }
        if marked == Marked::First && ending.is_none() {
            self.record.keep_runtime_waker();
        }
        self.unmarked_end(now_ns, ending);
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
    let kind = start_special(record, kind, None);
    if kind == Marked::First {
        waker::learn(record, runtimes);
    }
    let extra = if is_due { context::extra_of_poll(now_ns) } else { Extra::NONE };
    let wanted = match kind {
        Marked::First | Marked::Rested => context::has_units_left(now_ns),
        Marked::Traced(_) => true,
        Marked::Later => extra.takes_stacks(),
    };
    let polled = if let Marked::Traced(_) = kind { Polled::Asked } else { Polled::Task };
    extra.with_stacks(wanted && waker::is_known(record, runtimes) && await_point::begin(record, sp, polled))
}

/// See [`RecordedPoll::prepare_sub`].
#[inline(never)]
fn prepare_sub(
    record: &'static TaskRecord,
    (kind, is_due): (PollKind, bool),
    (now_ns, outer): (u64, CurrentTask),
    may: bool,
    sp: u64,
) -> Extra {
    let kind = start_special(record, kind, Some(outer));
    let extra = if is_due { context::extra_of_poll(now_ns) } else { Extra::NONE };
    let wanted = match kind {
        Marked::First | Marked::Rested => context::has_units_left(now_ns),
        Marked::Traced(_) | Marked::Later => extra.takes_stacks(),
    };
    extra.with_stacks(wanted && may && await_point::begin(record, sp, Polled::Sub))
}

/// What the first poll of a task does, and each of one with labels or that may get some of a span: what is spawned until it ends
/// inherits them. The task is the current one, or the future inside of `outer`.
#[inline]
fn start_special(record: &'static TaskRecord, kind: PollKind, outer: Option<CurrentTask>) -> Marked {
    if kind.marked() == Marked::First {
        record.set_tokio_id(tokio_id::current_bits());
    }
    if let PollKind::Marked(_) = kind {
        put_labels_in_force(record, outer);
    }
    kind.marked()
}

#[cold]
#[inline(never)]
fn put_labels_in_force(record: &'static TaskRecord, outer: Option<CurrentTask>) {
    if !record.state().has_labels() {
        return;
    }
    let around = outer.and_then(in_force::span_of);
    // SAFETY: the caller polls the task, whose own labels stay until that has ended.
    let beside = unsafe { record.beside() };
    in_force::enter_poll(beside.as_ref().and_then(|beside| beside.own()), current::get(), Some(record));
    if let Some((labels, span)) = around {
        in_force::enter_span(&labels, span);
    }
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

fn totals_of(site: SiteId) -> Option<&'static Totals> {
    context::shard().and_then(|shard| shard.of(site))
}

#[cold]
fn count_delay(record: &TaskRecord, delay_ns: u64) {
    if let Some(totals) = record.current().site().and_then(totals_of) {
        totals.add_delay(delay_ns);
    }
}
