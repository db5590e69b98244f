//! The future of a member.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use diag_snapshot::MemberState;

use super::super::context;
use super::members::{MemberId, Polled};
use super::registry::GroupState;

/// A member of a group, made by [`Group::track`](super::Group::track): it belongs to it until it is dropped.
#[must_use = "futures do nothing unless polled"]
pub struct InGroup<F> {
    future: ManuallyDrop<F>,
    group: Arc<GroupState>,
    id: MemberId,
    polled: Arc<Polled>,
    /// How it ends if it is dropped now.
    ends_as: MemberState,
}

impl<F> InGroup<F> {
    pub(super) fn new(group: Arc<GroupState>, name: String, future: F) -> Self {
        let (id, polled) = group.members().join(context::take_id(), name);
        InGroup { future: ManuallyDrop::new(future), group, id, polled, ends_as: MemberState::Cancelled }
    }

    pub(super) fn id(&self) -> MemberId {
        self.id
    }
}

impl<F: Future> Future for InGroup<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        this.polled.now();
        // Whatever unwinds through here leaves it so.
        this.ends_as = MemberState::Panicked;
        // SAFETY: the future is pinned with us: it is only ever used through this pin, and dropped in
        // place by our `drop`.
        let result = unsafe { Pin::new_unchecked(&mut *this.future) }.poll(cx);
        this.ends_as = if result.is_ready() { MemberState::Done } else { MemberState::Cancelled };
        result
    }
}

impl<F> Drop for InGroup<F> {
    fn drop(&mut self) {
        // Ends the member after its future is gone, also when a destructor panics.
        let _end = MemberEnd { group: &self.group, id: self.id, state: self.ends_as };
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}

struct MemberEnd<'a> {
    group: &'a GroupState,
    id: MemberId,
    state: MemberState,
}

impl Drop for MemberEnd<'_> {
    fn drop(&mut self) {
        let (latency_ns, _handle) = self.group.members().end(self.id, self.state);
        latency_ns.into_iter().for_each(|ns| self.group.site().count_latency(ns));
    }
}

impl<F: fmt::Debug> fmt::Debug for InGroup<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InGroup").field(&*self.future).finish()
    }
}
