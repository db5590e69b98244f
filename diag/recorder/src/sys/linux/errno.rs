//! `errno`, which user code may read after a hook or a signal handler of ours ran in between.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

/// Runs `work` and puts `errno` back.
pub(crate) fn keep<T>(work: impl FnOnce() -> T) -> T {
    let before = get();
    let result = work();
    // SAFETY: the address of this thread's errno is valid as long as the thread.
    unsafe { *libc::__errno_location() = before };
    result
}

/// What the last failed call of this thread left there.
pub(crate) fn get() -> libc::c_int {
    // SAFETY: the address of this thread's errno is valid as long as the thread.
    unsafe { *libc::__errno_location() }
}
