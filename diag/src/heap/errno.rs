//! `errno`, which user code may read after an allocation in between.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

/// Runs `work` and puts `errno` back: user code may read it after an allocation in between.
pub(super) fn keep<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the address of this thread's errno is valid as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let result = work();
    // SAFETY: as above.
    unsafe { *errno = before };
    result
}
