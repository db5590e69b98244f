//! Files and sockets, beyond what std does with them.

use std::io;
use std::os::fd::AsRawFd;

use super::soft_limit::soft_limit;

/// Beyond so many bytes of one file the system does not refuse a write, it kills the process (`SIGXFSZ`).
pub(crate) fn largest_file_bytes() -> u64 {
    // SAFETY: `limit` gives a valid place to fill.
    soft_limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit) }).unwrap_or(libc::RLIM_INFINITY)
}

/// How many descriptors may be open; `None` if there is no limit.
pub(crate) fn most_descriptors() -> Option<u64> {
    // SAFETY: `limit` gives a valid place to fill.
    soft_limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit) })
}

/// The descriptors that are open among the first so many, found without opening one. `None` if the system does not
/// tell.
pub(crate) fn open_descriptors(among: u32) -> Option<Vec<u32>> {
    let mut open = Vec::new();
    for descriptor in 0..among {
        if is_open(descriptor)? {
            open.push(descriptor);
        }
    }
    Some(open)
}

fn is_open(descriptor: u32) -> Option<bool> {
    // SAFETY: asks for a flag of the descriptor, whosever it is, and does nothing to what it stands for.
    if unsafe { libc::fcntl(descriptor.cast_signed(), libc::F_GETFD) } >= 0 {
        return Some(true);
    }
    (io::Error::last_os_error().raw_os_error() == Some(libc::EBADF)).then_some(false)
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

/// Waits until there is something to read, to accept or to notice. An error at once where the system refuses to wait.
#[cfg(feature = "agent")]
pub(crate) fn wait_until_readable(source: &impl AsRawFd) -> io::Result<()> {
    let mut wanted = libc::pollfd { fd: source.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one descriptor, and a place for what is told of it.
        if unsafe { libc::poll(&raw mut wanted, 1, -1) } > 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Waits until there is something to read, and no longer than so. An error at once where the system refuses to wait.
pub(crate) fn is_readable_within(source: &impl AsRawFd, time: std::time::Duration) -> io::Result<bool> {
    let mut wanted = libc::pollfd { fd: source.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let ms = libc::c_int::try_from(time.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one descriptor, and a place for what is told of it.
    match unsafe { libc::poll(&raw mut wanted, 1, ms) } {
        0 => Ok(false),
        1 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn what_is_open_is_found() {
        let path = std::env::current_exe().expect("this test has a path");
        let file = File::open(path).expect("it can be read");
        let own = file.as_raw_fd().cast_unsigned();
        let open = open_descriptors(own + 1).expect("it is told");
        assert!(open.contains(&own) && open.is_sorted(), "{open:?}");
        assert!(!open_descriptors(own).expect("it is told").contains(&own));
        assert_eq!(is_open(i32::MAX.cast_unsigned()), Some(false));
        assert!(most_descriptors().is_none_or(|most| most > u64::from(own)));
    }
}
