//! The wrapper around a spawned future: one pointer that makes polls, the end and the outcome known.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

use diag_snapshot::Outcome;

use super::ends::outcome_index;
use super::local::{self, TIMED_ONE_IN};
use super::site::{self, Site};
use super::slot::{Birth, Slot};
use super::tokio_id;
use super::totals::{add, lifetime_bucket, raise};
use crate::clock;
use crate::current::{self, CurrentTask};

/// A future whose life is recorded.
pub(crate) struct Tracked<F> {
    future: ManuallyDrop<F>,
    /// The task's record; none if recording is off or there was no room.
    slot: Option<&'static Slot>,
}

impl<F> Tracked<F> {
    /// Records the birth of a task of `site`.
    #[inline]
    pub(crate) fn new(future: F, site: Site, label: Option<Box<str>>) -> Self {
        let slot = if crate::is_recording() { begin(site, label) } else { None };
        Tracked { future: ManuallyDrop::new(future), slot }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let slot = self.slot;
        // SAFETY: the future is pinned with us: it is only ever used through this pin, and dropped in
        // place by our `drop`.
        let future = unsafe { self.map_unchecked_mut(|this| &mut *this.future) };
        let Some(slot) = slot else { return future.poll(cx) };
        let mut guard = PollGuard::start(slot);
        let poll = future.poll(cx);
        guard.ending = poll.is_ready().then_some(Outcome::Done);
        poll
    }
}

impl<F> Drop for Tracked<F> {
    #[inline]
    fn drop(&mut self) {
        // Ends the task after the future is gone, also when a destructor panics.
        let _end = self.slot.map(EndGuard::start);
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}

#[inline]
fn begin(site: Site, label: Option<Box<str>>) -> Option<&'static Slot> {
    let site = site::id_of(site);
    let (parent, spawned_ns) = (current::get(), clock::coarse_ns());
    if let Some(totals) = local::shard().and_then(|shard| shard.of(site)) {
        add(&totals.spawned, 1);
    }
    local::open_slot(|id| Birth { id, site, parent, spawned_ns, label })
}

/// One poll: the task is current while it lives, its drop takes the time, on unwinding too.
struct PollGuard {
    slot: &'static Slot,
    before: CurrentTask,
    started_ns: u64,
    /// The precise clock at the start, if this poll is one of the timed.
    timed_ns: Option<u64>,
    /// What the poll says about the task's end: a panic, unless it returns.
    ending: Option<Outcome>,
}

impl PollGuard {
    #[inline]
    fn start(slot: &'static Slot) -> Self {
        let started_ns = clock::coarse_ns();
        if slot.poll_start(started_ns) {
            slot.set_tokio_id(tokio_id::current_bits());
        }
        PollGuard {
            slot,
            before: current::replace(slot.current()),
            started_ns,
            timed_ns: local::time_this_poll().then(clock::precise_ns),
            ending: Some(Outcome::Panicked),
        }
    }

    /// What this poll adds to the estimate of busy time, and how long it was if that is known.
    ///
    /// A poll over two ticks of the coarse clock is known well enough from that and counts as it is;
    /// of the shorter ones, each timed one stands for [`TIMED_ONE_IN`].
    #[inline]
    fn busy(&self, now_ns: u64) -> (u64, u64) {
        let coarse_ns = now_ns.saturating_sub(self.started_ns);
        match self.timed_ns {
            _ if coarse_ns >= clock::two_ticks_ns() => (coarse_ns, coarse_ns),
            Some(timed_ns) => {
                let took_ns = clock::precise_ns().saturating_sub(timed_ns);
                (took_ns * u64::from(TIMED_ONE_IN), took_ns)
            }
            None => (0, 0),
        }
    }
}

impl Drop for PollGuard {
    #[inline]
    fn drop(&mut self) {
        let now_ns = clock::coarse_ns();
        let (busy_ns, longest_ns) = self.busy(now_ns);
        self.slot.poll_end(busy_ns, longest_ns, self.ending.map(|outcome| (outcome, now_ns)));
        current::replace(self.before);
    }
}

/// The end of a task: it is current while its future drops, so that what destructors do is charged
/// to it, and recorded when that is done.
struct EndGuard {
    slot: &'static Slot,
    before: CurrentTask,
}

impl EndGuard {
    #[inline]
    fn start(slot: &'static Slot) -> Self {
        EndGuard { slot, before: current::replace(slot.current()) }
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
    let (end, busy_ns, longest_ns) = slot.end(clock::coarse_ns);
    shard.ends.push(end);
    let Some(totals) = shard.of(end.site) else { return };
    add(&totals.ended[outcome_index(end.outcome)], 1);
    add(&totals.polls, end.polls);
    add(&totals.busy_ns, busy_ns);
    raise(&totals.longest_poll_ns, longest_ns);
    add(&totals.lifetimes[lifetime_bucket(end.ended_ns.saturating_sub(end.spawned_ns))], 1);
}
