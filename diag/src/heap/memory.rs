//! Tables of atomics in memory of our own: the sampler never calls the allocator that it sits in.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU32, AtomicU64};

/// What a page of zeros is a valid value of.
///
/// # Safety
/// All-zero bytes must be a valid value, which may be shared between threads and needs no drop.
pub(super) unsafe trait Zeroed: Sync + 'static {}

// SAFETY: an atomic integer has the layout of the integer, and 0 is one.
unsafe impl Zeroed for AtomicU32 {}
// SAFETY: as above.
unsafe impl Zeroed for AtomicU64 {}

/// A table of zeros for the life of the process; `None` if the kernel refuses. Its pages become
/// resident once touched.
pub(super) fn zeroed<T: Zeroed>(len: usize) -> Option<&'static [T]> {
    const { assert!(align_of::<T>() <= 4096, "mapped memory is aligned to pages") };
    let start = crate::memory::map_zeroed(len.checked_mul(size_of::<T>())?)?;
    // SAFETY: so many zeroed bytes, never unmapped and nobody else's; zeros are a value of T by the
    // trait's promise, and the alignment was checked.
    Some(unsafe { std::slice::from_raw_parts(start.cast().as_ptr(), len) })
}

/// Runs `work` and puts `errno` back: user code may read it after an allocation in between.
pub(super) fn keeping_errno<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the address of this thread's errno is valid as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let result = work();
    // SAFETY: as above.
    unsafe { *errno = before };
    result
}
