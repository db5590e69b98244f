//! The waker that a tracked future sees in a poll whose stacks are taken.
//!
//! It lives for that poll and is borrowed from the parent's: each leaf clones it, which is the moment to take the stack, and
//! what it gets is a clone of the parent's waker. So nothing is different after the poll, and the future may be polled by
//! another task next time.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::await_point;
use super::record::TaskRecord;

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, drop);

/// What such a waker points to.
pub(super) struct SubWaker<'a> {
    record: &'static TaskRecord,
    parents: &'a Waker,
}

impl<'a> SubWaker<'a> {
    /// Of the future in `record`, which is polled with this waker of its parent's.
    pub(super) fn new(record: &'static TaskRecord, parents: &'a Waker) -> Self {
        SubWaker { record, parents }
    }

    /// The waker for the poll, which nobody can keep.
    pub(super) fn waker(&self) -> impl Deref<Target = Waker> {
        // SAFETY: the functions below keep the contract of `RawWaker`. `data` lives for as long as the result, of which
        // others get nothing but a reference: what they clone is another waker.
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(ptr::from_ref(self).cast(), &TABLE)) })
    }
}

/// The waker of the task that is polled: where such a one of ours stands before it, that of the parent.
pub(super) fn parents(waker: &Waker) -> &Waker {
    let mut waker = waker;
    while ptr::eq(waker.vtable(), &TABLE) {
        // SAFETY: with this table, `data` is what `SubWaker::waker` put there, and is borrowed for as long as the waker.
        waker = unsafe { sub_waker(waker.data()) }.parents;
    }
    waker
}

/// # Safety
/// `data` is that of a waker with our table, which is borrowed for `'a`.
unsafe fn sub_waker<'a>(data: *const ()) -> &'a SubWaker<'a> {
    // SAFETY: made from a reference by `SubWaker::waker`.
    unsafe { &*data.cast::<SubWaker<'a>>() }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called with a waker's own data.
    let SubWaker { record, parents } = unsafe { sub_waker(data) };
    await_point::take_stack(record);
    let clone = ManuallyDrop::new((*parents).clone());
    RawWaker::new(clone.data(), clone.vtable())
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called with a waker's own data.
    unsafe { sub_waker(data) }.parents.wake_by_ref();
}

/// It is borrowed.
unsafe fn drop(_: *const ()) {}
