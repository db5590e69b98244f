//! `track`: futures inside of a task that are worth a record of their own.

use std::fmt;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::end::EndGuard;
use super::poll::RecordedPoll;
use super::record::TaskRecord;
use super::site::Kind;
use super::spawn::Spawn;
use super::sub_waker::SubWaker;
use crate::current::{self, CurrentTask};
use crate::stack;

/// Records a future that is no task of its own: a child of `FuturesUnordered`, of `join_all`, of a
/// stream, or a branch of `select!`.
///
/// It appears at the line of this call beside the tasks, with the task that made it as its parent. One
/// that is dropped unfinished is counted there as cancelled, and where it waits is known as of a task. Its wakers are its
/// parent's and are not counted. What it allocates is its task's, or its own where that task has no record, as in a
/// handler that a library runs.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let slow = diag::task::track(std::future::pending::<()>());
/// tokio::select! {
///     () = slow => unreachable!(),
///     () = tokio::task::yield_now() => {} // `slow` is dropped: one cancelled future at its line
/// }
/// # }
/// ```
#[track_caller]
pub fn track<F: Future>(future: F) -> TrackedFuture<F> {
    track_at(Location::caller(), None, future)
}

/// The same for whoever knows better which line it is, with a name.
pub(crate) fn track_at<F: Future>(
    location: &'static Location<'static>,
    name: Option<&str>,
    future: F,
) -> TrackedFuture<F> {
    let spawn = Spawn::new(location, Kind::Future).named(name, None);
    let (record, handle, _) = spawn.begin::<F>();
    drop(handle);
    TrackedFuture { future: ManuallyDrop::new(future), record, goes_round: false }
}

/// A future with a record, made by [`track`].
#[must_use = "futures do nothing unless polled"]
pub struct TrackedFuture<F> {
    future: ManuallyDrop<F>,
    record: Option<&'static TaskRecord>,
    /// The last poll had its stacks taken, came at once after one that had, and waits at the same place.
    goes_round: bool,
}

impl<F: Future> Future for TrackedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the future is pinned with us: it is only ever used through this pin, and dropped in
        // place by our `drop`.
        let mut future = unsafe { Pin::new_unchecked(&mut *this.future) };
        let Some(record) = this.record else { return future.poll(cx) };
        let (stack, moved_ns) = (record.stack(), record.moved_ns());
        // A leaf may wake the waker that it replaces, and would for ever if each of its polls had another one. Such a
        // wake is its parent's and not known here; that it brings us to the same place at once is.
        let may = !mem::take(&mut this.goes_round);
        let (mut poll, is_due) = RecordedPoll::start(record, task_of(record));
        if is_due || poll.is_special() {
            poll.prepare_sub(is_due, may, stack::registers().sp);
        }
        record.set_stack(0);
        if !poll.takes_stacks() {
            return poll.run(|| future.poll(cx), Poll::is_ready);
        }
        let waker = SubWaker::new(record, cx.waker());
        let waker = waker.waker();
        let result = poll.run(|| future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::is_ready);
        this.goes_round = poll.started_ns() == moved_ns && stack != 0 && record.stack() == stack;
        result
    }
}

/// The current task while the future in `record` runs: the task that polls it, or else the future itself.
fn task_of(record: &TaskRecord) -> CurrentTask {
    current::get().or(record.current())
}

impl<F> Drop for TrackedFuture<F> {
    fn drop(&mut self) {
        let _end = self.record.map(|record| EndGuard::start(record, task_of(record)));
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}

impl<F: fmt::Debug> fmt::Debug for TrackedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrackedFuture").field(&*self.future).finish()
    }
}
