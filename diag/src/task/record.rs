//! Keeping a task's record: its birth, each poll and its end, whatever it is that is polled.

use std::panic::Location;
use std::task::Poll;

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::ends::outcome_index;
use super::handle::TaskRef;
use super::local::{self, timing_one_in};
use super::site::{self, Kind, Site, SiteId};
use super::slot::{Birth, PollKind, Slot, Trace};
use super::tokio_id;
use super::totals::{Totals, add, lifetime_bucket, raise};
use crate::clock;
use crate::current::{self, CurrentTask};

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

    /// Records the birth of a task whose code is of type `F`: its record for the wrapper, and the one
    /// reference that its handle gets.
    #[inline]
    pub(super) fn begin<F>(self) -> (Option<&'static Slot>, TaskRef) {
        let slot = if crate::is_recording() { self.open::<F>() } else { None };
        (slot, TaskRef::of_spawn(slot))
    }

    #[inline]
    fn open<F>(self) -> Option<&'static Slot> {
        let site = site::id_of(Site::of::<F>(self.location, self.kind));
        let (parent, spawned_ns) = (current::get(), clock::stamp_ns());
        if let Some(shard) = local::shard() {
            add(&shard.spawned, 1);
        }
        let (label, kind, traced) = (self.name.map(Box::from), self.kind, self.traced);
        local::open_slot(|id| {
            let task = CurrentTask::new(id, site);
            Birth { task, parent, spawned_ns, label, kind, traced }
        })
    }
}

fn totals_of(site: SiteId) -> Option<&'static Totals> {
    local::shard().and_then(|shard| shard.of(site))
}

/// One poll: the task is current while it lives, its drop takes the time, on unwinding too.
pub(super) struct PollGuard {
    slot: &'static Slot,
    before: CurrentTask,
    started_ns: u64,
    /// The precise clock at the start if this poll is one of the timed, else 0.
    timed_ns: u64,
    kind: PollKind,
    /// What the poll says about the task's end: a panic, unless it returns.
    ending: Option<Outcome>,
}

impl PollGuard {
    /// A poll of the task in `slot` begins, during which `task` is the current one.
    pub(super) fn start(slot: &'static Slot, task: CurrentTask) -> Self {
        let started_ns = clock::stamp_ns();
        let (kind, woken_ns) = slot.poll_start(started_ns, local::thread());
        if kind == PollKind::First {
            slot.set_tokio_id(tokio_id::current_bits());
        }
        if started_ns.saturating_sub(woken_ns) >= clock::two_ticks_ns() {
            count_delay(slot, started_ns - woken_ns);
        }
        PollGuard {
            slot,
            before: current::replace(task),
            started_ns,
            timed_ns: if local::time_this_poll() { clock::precise_ns() } else { 0 },
            kind,
            ending: Some(Outcome::Panicked),
        }
    }

    #[inline]
    pub(super) fn kind(&self) -> PollKind {
        self.kind
    }

    /// It was the last one.
    pub(super) fn finished(&mut self) {
        self.ending = Some(Outcome::Done);
    }

    /// The poll came back with this.
    #[inline]
    pub(super) fn returned<T>(&mut self, poll: &Poll<T>) {
        match poll {
            Poll::Ready(_) => self.finished(),
            Poll::Pending => {
                self.ending = None;
                if self.kind == PollKind::First {
                    self.slot.keep_inner();
                }
            }
        }
    }

    /// Adds the time of the poll, if that is known.
    ///
    /// A poll over two ticks of the coarse clock is known well enough from that and counts as it is;
    /// of the shorter ones, each timed one stands for [`timing_one_in`]. Time in
    /// [`block_in_place`](super::block_in_place) is not the poll's.
    #[inline]
    fn take_time(&self, now_ns: u64) {
        let coarse_ns = now_ns.saturating_sub(self.started_ns);
        if coarse_ns >= clock::two_ticks_ns() {
            self.add_time(coarse_ns.saturating_sub(local::take_in_place_ns()), 1);
        } else if self.timed_ns != 0 {
            self.add_time(clock::precise_ns().saturating_sub(self.timed_ns), timing_one_in().into());
        }
    }

    #[cold]
    fn add_time(&self, took_ns: u64, stands_for: u64) {
        self.slot.add_time(took_ns, took_ns * stands_for);
        if let Some(totals) = self.slot.current().site().and_then(totals_of) {
            totals.add_poll_time(took_ns, stands_for);
        }
    }

    #[cold]
    fn traced_end(&self, trace: Trace, now_ns: u64) {
        if !trace.quiet {
            self.take_time(now_ns);
        }
        if self.slot.traced_end(trace, now_ns, self.ending)
            && let Some(totals) = self.slot.current().site().and_then(totals_of)
        {
            add(&totals.rescued, 1);
        }
    }
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        let now_ns = clock::stamp_ns();
        if let PollKind::Traced(trace) = self.kind {
            self.traced_end(trace, now_ns);
        } else {
            self.take_time(now_ns);
            self.slot.poll_end(now_ns, self.ending);
        }
        current::replace(self.before);
    }
}

#[cold]
fn count_delay(slot: &Slot, delay_ns: u64) {
    if let Some(totals) = slot.current().site().and_then(totals_of) {
        totals.add_delay(delay_ns);
    }
}

/// The end of a task: it is current while its future drops, so that what destructors do is charged
/// to it, and recorded when that is done.
pub(super) struct EndGuard {
    slot: &'static Slot,
    before: CurrentTask,
}

impl EndGuard {
    /// The future of `slot` is about to be dropped, while `task` is the current one.
    #[inline]
    pub(super) fn start(slot: &'static Slot, task: CurrentTask) -> Self {
        EndGuard { slot, before: current::replace(task) }
    }
}

impl Drop for EndGuard {
    #[inline]
    fn drop(&mut self) {
        current::replace(self.before);
        count_end(self.slot);
        if self.slot.close() {
            local::free_slot(self.slot);
        }
    }
}

fn count_end(slot: &Slot) {
    let Some(shard) = local::shard() else { return };
    let (mut end, busy_ns, longest_ns) = slot.end(clock::stamp_ns);
    if matches!(end.outcome, Outcome::Cancelled | Outcome::NeverPolled) && end.cancel.is_none() {
        end.cancel = Some(Cancel { by: slot.unasked(), at_ns: None });
    }
    shard.ends.push(end);
    let Some(totals) = shard.of(end.site) else { return };
    add(&totals.ended[outcome_index(end.outcome)], 1);
    add(&totals.polls, end.polls);
    if busy_ns != 0 {
        add(&totals.busy_ns, busy_ns);
        raise(&totals.longest_poll_ns, longest_ns);
    }
    add(&totals.lifetimes[lifetime_bucket(end.ended_ns.saturating_sub(end.spawned_ns))], 1);
}
