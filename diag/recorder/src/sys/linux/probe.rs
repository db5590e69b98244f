//! Whether memory can be read, asked so that nothing faults.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::errno;

/// Asks the kernel, which answers instead of faulting: a signal mask is copied from the address
/// before the request is found to be nonsense. Nothing is changed, and no sandbox forbids this call.
pub(crate) fn page_is_readable(page: u64) -> bool {
    const NONSENSE: libc::c_int = -1;
    errno::keep(|| {
        // SAFETY: the kernel checks the address itself, and the invalid request changes no mask.
        let answer = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NONSENSE, page, 0_usize, 8_usize) };
        answer == -1 && errno::get() == libc::EINVAL
    })
}
