//! The table of the runtime's wakers: one static of tokio's, so that a slot keeps a waker as one pointer.
//!
//! It is learnt from a task of tokio's own that does nothing else; where nothing was started, from the first poll
//! of the process that tokio says is one of a task of its own.

use std::future::poll_fn;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Poll, RawWakerVTable, Waker};
use std::thread;

static TABLE: AtomicPtr<RawWakerVTable> = AtomicPtr::new(std::ptr::null_mut());

/// The table, once it is known.
pub(super) fn table() -> Option<&'static RawWakerVTable> {
    // SAFETY: null, or a `&'static` that `learn` stored.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

/// True if `waker` is of the one make that slots can keep: tokio's.
#[inline(always)]
pub(super) fn is_inner(waker: &Waker) -> bool {
    // Relaxed: only compared. Who follows it loads it anew, with the Acquire in `table`.
    let known = TABLE.load(Ordering::Relaxed);
    std::ptr::eq(known, waker.vtable()) || (known.is_null() && learn(waker))
}

/// Makes the table of a waker the one that is known, if there is none and tokio is polling a task of its own. True
/// if the known one is this waker's.
#[cold]
#[inline(never)]
fn learn(waker: &Waker) -> bool {
    // In the models nothing is tokio's.
    if tokio::task::try_id().is_none() && !cfg!(all(test, diag_loom)) {
        return false;
    }
    let this = std::ptr::from_ref(waker.vtable()).cast_mut();
    // Pairs with the Acquire in `table`. The table itself is a constant.
    match TABLE.compare_exchange(std::ptr::null_mut(), this, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => true,
        Err(known) => std::ptr::eq(known, this),
    }
}

/// Learns the table from a task that is nobody else's, on a thread of its own: the caller may be inside a runtime,
/// where none can be run. Without a thread to be had the first poll has to do.
pub(crate) fn probe() {
    const STACK_BYTES: usize = 192 << 10;
    let run = || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
        let task = runtime.spawn(poll_fn(|cx| {
            is_inner(cx.waker());
            Poll::Ready(())
        }));
        _ = runtime.block_on(task);
    };
    if table().is_none()
        && let Ok(thread) =
            thread::Builder::new().name("diag-probe".to_owned()).stack_size(STACK_BYTES).spawn(run)
    {
        _ = thread.join();
    }
}
