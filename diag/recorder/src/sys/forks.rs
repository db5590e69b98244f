//! Forks, as the C library tells of them.

/// Has these run at every fork that the C library does: before it, after it in the parent, and in the child.
///
/// # Safety
/// `in_child` may do no more than a child may between its fork and whatever comes then.
pub(crate) unsafe fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: by the promise of the caller. A refusal costs only what the handlers do.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// What a forked child says of itself; `None` if it says nothing. It looks at memory, allocates little, and leaves.
#[cfg(test)]
pub(crate) fn forked(look: impl FnOnce() -> bool) -> Option<bool> {
    // SAFETY: the child does no more than that.
    answer(unsafe { libc::fork() }, look)
}

/// The same for a child that was made past the C library; `None` also where there is no such way.
#[cfg(test)]
pub(crate) fn forked_bare(look: impl FnOnce() -> bool) -> Option<bool> {
    // SAFETY: the child does no more than that.
    answer(unsafe { super::here::bare_fork() }?, look)
}

#[cfg(test)]
fn answer(child: libc::pid_t, look: impl FnOnce() -> bool) -> Option<bool> {
    if child == 0 {
        let said = libc::c_int::from(!look());
        // SAFETY: leaves without anything of the parent's being run.
        unsafe { libc::_exit(said) };
    }
    let mut status = -1;
    // SAFETY: waits for our own child, and there is a place for the answer.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(ended, child, "the child was made");
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status) == 0)
}
