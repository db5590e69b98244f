//! Closures on blocking threads, and blocking in place.

use std::panic::Location;

use super::context;
use super::end::EndGuard;
use super::handle::JoinHandle;
use super::poll::RecordedPoll;
use super::record::TaskRecord;
use super::site::Kind;
use super::spawn::Spawn;
use crate::clock;

/// Runs a closure on a thread where it may block, as [`tokio::task::spawn_blocking`].
///
/// Its record says *never polled* while it waits for a thread and *polling* while it runs.
///
/// # Panics
/// Outside of a tokio runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (record, handle, _cell) = Spawn::new(Location::caller(), Kind::Blocking).begin::<F>();
    let tracked = TrackedFn::new(f, record);
    JoinHandle::new(tokio::task::spawn_blocking(move || tracked.run()), handle)
}

/// Runs a blocking closure on the current thread, as [`tokio::task::block_in_place`]. Its time does not
/// count as the poll's.
///
/// # Panics
/// On a current-thread runtime.
#[track_caller]
pub fn block_in_place<F, R>(f: F) -> R
where
    F: FnOnce() -> R,
{
    let _in_place = InPlace { since_ns: clock::coarse_ns() };
    tokio::task::block_in_place(f)
}

/// Adds the time when it is over, on unwinding too. Short ones do not count: their poll is not long either.
struct InPlace {
    since_ns: u64,
}

impl Drop for InPlace {
    fn drop(&mut self) {
        let took_ns = clock::coarse_ns().saturating_sub(self.since_ns);
        if took_ns >= clock::two_ticks_ns() {
            context::add_in_place_ns(took_ns);
        }
    }
}

/// A closure whose life is recorded: one poll, unless it is dropped before.
pub(super) struct TrackedFn<F> {
    f: Option<F>,
    record: Option<&'static TaskRecord>,
}

impl<F> TrackedFn<F> {
    pub(super) fn new(f: F, record: Option<&'static TaskRecord>) -> Self {
        TrackedFn { f: Some(f), record }
    }

    /// Runs the closure; the record ends when that and what it owned are gone.
    pub(super) fn run<R>(mut self) -> R
    where
        F: FnOnce() -> R,
    {
        let Some(f) = self.f.take() else { unreachable!("`run` takes the closure and itself with it") };
        match self.record {
            Some(record) => RecordedPoll::start_without_stacks(record, record.current()).run(f, |_| true),
            None => f(),
        }
    }
}

impl<F> Drop for TrackedFn<F> {
    fn drop(&mut self) {
        let _end = self.record.map(|record| EndGuard::start(record, record.current()));
        drop(self.f.take());
    }
}
