//! The table of the runtime's wakers: one static of tokio's, so that a record keeps a waker as one pointer.
//!
//! It is learnt from a task of tokio's own that does nothing else; where nothing was started, from the first poll
//! of the process that tokio says is one of a task of its own.

use std::future::poll_fn;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Poll, RawWakerVTable, Waker};

use tokio::runtime::{Builder, Handle};

static TABLE: AtomicPtr<RawWakerVTable> = AtomicPtr::new(std::ptr::null_mut());

/// The table, once it is known.
pub(super) fn table() -> Option<&'static RawWakerVTable> {
    // SAFETY: null, or a `&'static` that `learn` stored.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

/// The address of the table; 0 if it is not known.
#[cfg(samples_heap)]
pub(crate) fn table_address() -> u64 {
    TABLE.load(Ordering::Acquire).addr() as u64
}

/// True if `waker` is of the one make that records can keep: tokio's.
#[inline(always)]
pub(super) fn is_runtimes(waker: &Waker) -> bool {
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

/// Learns the table from a task that is nobody else's: of the runtime that the caller is in, or of one that runs for
/// it alone. No thread is started for it: with glibc each may take 64 MiB of address space.
pub(crate) fn probe() {
    let task = poll_fn(|cx| {
        is_runtimes(cx.waker());
        Poll::Ready(())
    });
    if table().is_some() {
        return;
    }
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(task));
    } else if let Ok(runtime) = Builder::new_current_thread().build() {
        _ = runtime.block_on(runtime.spawn(task));
    }
}
