//! Files and sockets, beyond what std does with them.

#[cfg(feature = "agent")]
use std::{io, os::fd::AsRawFd};

/// Beyond so many bytes of one file the system does not refuse a write, it kills the process (`SIGXFSZ`).
pub(crate) fn largest_file_bytes() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a valid place for the call to fill; if it fails, there is no limit.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    limit.rlim_cur
}

/// True if it says that there is no descriptor left: for this process, or for the system.
#[cfg(feature = "agent")]
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Bounds what the kernel keeps of what nobody reads, also for sockets that this one accepts. A refusal is harmless.
#[cfg(feature = "agent")]
pub(crate) fn bound_send_buffer(socket: &impl AsRawFd, bytes: u32) {
    let bytes = bytes.cast_signed();
    // SAFETY: `bytes` is there during the call and as long as told, and the descriptor is open.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        );
    }
}

/// Closes a descriptor. For handlers that run in a forked child.
///
/// # Safety
/// Nobody in this process may use it.
pub(crate) unsafe fn close(descriptor: u32) {
    // SAFETY: by the promise of the caller.
    unsafe { libc::close(descriptor.cast_signed()) };
}
