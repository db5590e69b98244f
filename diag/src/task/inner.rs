//! The table of the runtime's wakers: one static of tokio's, learnt from the first poll of the process, so
//! that a slot keeps a waker as one pointer.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{RawWakerVTable, Waker};

static TABLE: AtomicPtr<RawWakerVTable> = AtomicPtr::new(std::ptr::null_mut());

/// The table, once a task was polled.
pub(super) fn table() -> Option<&'static RawWakerVTable> {
    // SAFETY: null, or a `&'static` that `learn` stored.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

/// True if `waker` is of the one make that slots can keep: tokio's.
#[inline]
pub(super) fn is_inner(waker: &Waker) -> bool {
    let known = TABLE.load(Ordering::Relaxed);
    std::ptr::eq(known, waker.vtable()) || (known.is_null() && learn(waker))
}

/// Makes the table of the first waker that comes the one that is known. True if it is this waker's.
#[cold]
fn learn(waker: &Waker) -> bool {
    let ours = std::ptr::from_ref(waker.vtable()).cast_mut();
    match TABLE.compare_exchange(std::ptr::null_mut(), ours, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => true,
        Err(known) => std::ptr::eq(known, ours),
    }
}
