//! `track`: futures inside of a task that are worth a record of their own.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::end::EndGuard;
use super::poll::RecordedPoll;
use super::record::TaskRecord;
use super::site::Kind;
use super::spawn::Spawn;
use crate::current;

/// Records a future that is no task of its own: a child of `FuturesUnordered`, of `join_all`, of a
/// stream, or a branch of `select!`.
///
/// It appears at the line of this call beside the tasks, with the task that made it as its parent. One
/// that is dropped unfinished is counted there as cancelled. Its wakers are its parent's and are not
/// counted.
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
    let (record, handle, _) = Spawn::new(Location::caller(), Kind::Future).begin::<F>();
    drop(handle);
    TrackedFuture { future: ManuallyDrop::new(future), record }
}

/// A future with a record, made by [`track`].
#[must_use = "futures do nothing unless polled"]
pub struct TrackedFuture<F> {
    future: ManuallyDrop<F>,
    record: Option<&'static TaskRecord>,
}

impl<F: Future> Future for TrackedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let record = self.record;
        // SAFETY: the future is pinned with us: it is only ever used through this pin, and dropped in
        // place by our `drop`.
        let future = unsafe { self.map_unchecked_mut(|this| &mut *this.future) };
        let Some(record) = record else { return future.poll(cx) };
        // The task stays the current one: what is allocated here is the task's.
        RecordedPoll::start_without_stacks(record, current::get()).run(|| future.poll(cx), Poll::is_ready)
    }
}

impl<F> Drop for TrackedFuture<F> {
    fn drop(&mut self) {
        let _end = self.record.map(|record| EndGuard::start(record, current::get()));
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}

impl<F: fmt::Debug> fmt::Debug for TrackedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrackedFuture").field(&*self.future).finish()
    }
}
