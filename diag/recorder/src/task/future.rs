//! The wrapper around a spawned future: one pointer that makes polls, the end and the outcome known.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::record::{EndGuard, RecordedPoll};
use super::slot::Slot;
use super::waker;
use crate::stack;

/// A future whose life is recorded. Only a runtime polls it, always with wakers of the same task.
pub(crate) struct Tracked<F> {
    future: ManuallyDrop<F>,
    /// The task's record; none if recording is off or there was no room.
    slot: Option<&'static Slot>,
}

impl<F> Tracked<F> {
    /// Ties a future to the record of its task.
    #[inline]
    pub(super) fn new(future: F, slot: Option<&'static Slot>) -> Self {
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
        let (mut poll, is_due) = RecordedPoll::start(slot, slot.current());
        if is_due || poll.is_special() {
            // The stacks that are taken end at this function, into which the future's own may be inlined.
            poll.prepare(is_due, cx.waker(), stack::registers().sp);
        }
        slot.set_stack(0);
        let is_known = waker::is_known(slot, cx.waker());
        let takes_stacks = poll.takes_stacks();
        let work = || match is_known {
            true => future.poll(&mut Context::from_waker(&waker::lend(slot, takes_stacks))),
            false => future.poll(cx),
        };
        poll.run(work, Poll::is_ready)
    }
}

impl<F> Drop for Tracked<F> {
    #[inline]
    fn drop(&mut self) {
        // Ends the task after the future is gone, also when a destructor panics.
        let _end = self.slot.map(|slot| EndGuard::start(slot, slot.current()));
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}
