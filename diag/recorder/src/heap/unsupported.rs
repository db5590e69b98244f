//! Takes the place of the heap sampler where it does not work: how it takes stacks is written for Linux
//! on x86-64. A service compiles and runs unchanged, and its snapshots have no heap.

mod alloc;
mod error;

use std::alloc::{GlobalAlloc, Layout};

pub use alloc::{Alloc, DEFAULT_RATE_BYTES};
pub use error::EnableError;

// SAFETY: every call goes to the inner allocator as it came.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Alloc<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the promise of the caller.
        unsafe { self.inner.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the promise of the caller.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the promise of the caller.
        unsafe { self.inner.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by the promise of the caller.
        unsafe { self.inner.realloc(block, layout, new_size) }
    }
}

/// Samples nothing here.
///
/// # Errors
/// Always [`EnableError::Unsupported`].
pub fn enable(_rate_bytes: u64) -> Result<(), EnableError> {
    Err(EnableError::Unsupported)
}

/// Nothing was on.
pub fn disable() {}

/// There is no census here.
pub(crate) fn keep_census(_on: bool) {}

/// There is none to prepare for.
pub(crate) fn prepare_census() -> Result<bool, EnableError> {
    Err(EnableError::Unsupported)
}

/// Hides nothing: no thread's allocations are seen.
pub(crate) fn hide_capture() -> Hidden {
    Hidden
}

/// See [`hide_capture`].
#[must_use]
pub(crate) struct Hidden;

/// Nothing is.
#[cfg(feature = "agent")]
pub(crate) fn is_recorded() -> bool {
    false
}

/// There are no samples.
pub(crate) fn capacity() -> Option<u64> {
    None
}
