//! The end of the process, as the C library tells of it.

/// Has this run when the process ends by itself: on its first thread, whose thread-local values are gone by then. False if there
/// is no room for one more.
pub(crate) fn at_exit(work: extern "C" fn()) -> bool {
    // SAFETY: a function that may run at any time.
    unsafe { libc::atexit(work) == 0 }
}

/// Ends the process without running anything more.
pub(crate) fn exit_at_once(code: i32) -> ! {
    // SAFETY: no preconditions.
    unsafe { libc::_exit(code) }
}
