//! The wrapper around a spawned future: one pointer that makes polls, the end and the outcome known.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::end::EndGuard;
use super::poll::RecordedPoll;
use super::record::TaskRecord;
use super::waker;
use crate::stack;

/// A future whose life is recorded. Only a runtime polls it, always with wakers of the same task.
pub(crate) struct Tracked<F> {
    future: ManuallyDrop<F>,
    /// The task's record; none if recording is off or there was no room.
    record: Option<&'static TaskRecord>,
}

impl<F> Tracked<F> {
    /// Ties a future to the record of its task.
    #[inline]
    pub(super) fn new(future: F, record: Option<&'static TaskRecord>) -> Self {
        Tracked { future: ManuallyDrop::new(future), record }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let record = self.record;
        // SAFETY: the future is pinned with us: it is only ever used through this pin, and dropped in
        // place by our `drop`.
        let future = unsafe { self.map_unchecked_mut(|this| &mut *this.future) };
        let Some(record) = record else { return future.poll(cx) };
        let (mut poll, is_due) = RecordedPoll::start(record, record.current());
        if is_due || poll.is_special() {
            // The stacks that are taken end at this function, into which the future's own may be inlined.
            poll.prepare(is_due, cx.waker(), stack::registers().sp);
        }
        record.set_stack(0);
        let is_known = waker::is_known(record, cx.waker());
        let takes_stacks = poll.takes_stacks();
        let work = || match is_known {
            true => future.poll(&mut Context::from_waker(&waker::borrowed(record, takes_stacks))),
            false => future.poll(cx),
        };
        poll.run(work, Poll::is_ready)
    }
}

impl<F> Drop for Tracked<F> {
    #[inline]
    fn drop(&mut self) {
        // Ends the task after the future is gone, also when a destructor panics.
        let _end = self.record.map(|record| EndGuard::start(record, record.current()));
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}
