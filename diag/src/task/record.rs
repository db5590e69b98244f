//! Keeping a task's record: its birth, each poll and its end, whatever it is that is polled.

use std::panic::Location;
use std::task::Poll;

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::ends::outcome_index;
use super::handle::TaskRef;
use super::local::{self, timing_one_in};
use super::site::{self, Kind, Site, SiteId};
use super::slot::{Birth, PollEnd, PollStart, Slot};
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
        let (parent, spawned_ns) = (current::get(), clock::coarse_ns());
        if let Some(totals) = totals_of(site) {
            add(&totals.spawned, 1);
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
    start: PollStart,
    started_ns: u64,
    /// The precise clock at the start, if this poll is one of the timed.
    timed_ns: Option<u64>,
    /// What the poll says about the task's end: a panic, unless it returns.
    ending: Option<Outcome>,
}

impl PollGuard {
    /// A poll of the task in `slot` begins, during which `task` is the current one.
    #[inline]
    pub(super) fn start(slot: &'static Slot, task: CurrentTask) -> Self {
        let started_ns = clock::coarse_ns();
        let start = slot.poll_start(started_ns, local::thread());
        if start.first {
            slot.set_tokio_id(tokio_id::current_bits());
        }
        if let Some(woken_ns) = start.woken_ns
            && started_ns.saturating_sub(woken_ns) >= clock::two_ticks_ns()
        {
            count_delay(slot, started_ns - woken_ns);
        }
        PollGuard {
            slot,
            before: current::replace(task),
            start,
            started_ns,
            timed_ns: (!start.quiet && local::time_this_poll()).then(clock::precise_ns),
            ending: Some(Outcome::Panicked),
        }
    }

    #[inline]
    pub(super) fn is_first(&self) -> bool {
        self.start.first
    }

    #[inline]
    pub(super) fn is_traced(&self) -> bool {
        self.start.traced
    }

    /// It was the last one.
    pub(super) fn finished(&mut self) {
        self.ending = Some(Outcome::Done);
    }

    /// The poll came back with this.
    #[inline]
    pub(super) fn returned<T>(&mut self, poll: &Poll<T>) {
        self.ending = poll.is_ready().then_some(Outcome::Done);
        if self.start.first && poll.is_pending() && !self.slot.has_inner() && !self.slot.inner().is_null() {
            self.slot.adopt();
        }
    }

    /// What this poll adds to the estimate of busy time, and how long it was if that is known.
    ///
    /// A poll over two ticks of the coarse clock is known well enough from that and counts as it is;
    /// of the shorter ones, each timed one stands for [`timing_one_in`]. Time in
    /// [`block_in_place`](super::block_in_place) is not the poll's.
    #[inline]
    fn busy(&self, now_ns: u64) -> (u64, u64) {
        let coarse_ns = now_ns.saturating_sub(self.started_ns);
        match self.timed_ns {
            _ if coarse_ns >= clock::two_ticks_ns() => {
                let own_ns = coarse_ns.saturating_sub(local::take_in_place_ns());
                count_time(self.slot, own_ns, 1);
                (own_ns, own_ns)
            }
            Some(timed_ns) => {
                let took_ns = clock::precise_ns().saturating_sub(timed_ns);
                count_time(self.slot, took_ns, timing_one_in().into());
                (took_ns * u64::from(timing_one_in()), took_ns)
            }
            None => (0, 0),
        }
    }
}

impl Drop for PollGuard {
    #[inline]
    fn drop(&mut self) {
        let now_ns = clock::coarse_ns();
        let (busy_ns, longest_ns) = if self.start.quiet { (0, 0) } else { self.busy(now_ns) };
        let end = PollEnd { now_ns, busy_ns, longest_ns, ending: self.ending };
        if self.slot.poll_end(self.start, end) {
            count_rescue(self.slot);
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

/// One poll of this length, which stands for so many.
fn count_time(slot: &Slot, took_ns: u64, stands_for: u64) {
    if let Some(totals) = slot.current().site().and_then(totals_of) {
        totals.add_poll_time(took_ns, stands_for);
    }
}

#[cold]
fn count_rescue(slot: &Slot) {
    if let Some(totals) = slot.current().site().and_then(totals_of) {
        add(&totals.rescued, 1);
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
    let (mut end, busy_ns, longest_ns) = slot.end(clock::coarse_ns);
    if matches!(end.outcome, Outcome::Cancelled | Outcome::NeverPolled) && end.cancel.is_none() {
        end.cancel = Some(Cancel { by: slot.unasked(), at_ns: None });
    }
    shard.ends.push(end);
    let Some(totals) = shard.of(end.site) else { return };
    add(&totals.ended[outcome_index(end.outcome)], 1);
    add(&totals.polls, end.polls);
    add(&totals.busy_ns, busy_ns);
    raise(&totals.longest_poll_ns, longest_ns);
    add(&totals.lifetimes[lifetime_bucket(end.ended_ns.saturating_sub(end.spawned_ns))], 1);
}
