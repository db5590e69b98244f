//! What only Linux has.

pub(crate) mod chained;
mod children;
#[cfg(profiles_cpu)]
mod cpu_timer;
#[cfg_attr(not(takes_stacks), allow(dead_code, reason = "stacks need all of it"))]
pub(crate) mod errno;
mod glibc;
mod limits;
#[cfg(takes_stacks)]
pub(crate) mod loader;
#[cfg(takes_stacks)]
pub(crate) mod own_memory;
#[cfg(takes_stacks)]
mod probe;
#[cfg(takes_stacks)]
pub(crate) mod signals;
#[cfg(samples_heap)]
pub(crate) mod sockets;

use std::ffi::{CStr, c_int};
use std::io;
use std::ptr::NonNull;

pub(crate) use children::{is_child_of_thread, thread_has_child};
#[cfg(profiles_cpu)]
pub(crate) use cpu_timer::{CpuTimer, process_cpu_ns};
pub(crate) use glibc::glibc_stats;
pub(crate) use limits::{Limits, page_bytes};
#[cfg(takes_stacks)]
pub(crate) use probe::page_is_readable;

use super::clock::read_ns;
use super::pages::InCores;
use super::procfs;

/// Nanoseconds of the coarse monotonic clock.
#[inline]
pub(crate) fn coarse_ns() -> u64 {
    read_ns(libc::CLOCK_MONOTONIC_COARSE)
}

/// The step of the coarse clock.
pub(crate) fn coarse_step_ns() -> Option<u64> {
    let mut step = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `step` is a valid timespec for the call to fill.
    let told = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut step) } == 0;
    (told && step.tv_nsec > 0).then_some(step.tv_nsec as u64)
}

/// How long this process has lived, from the kernel's record of its start (10 ms steps).
pub(crate) fn uptime_ns() -> Option<u64> {
    read_ns(libc::CLOCK_BOOTTIME).checked_sub(procfs::start_ns()?)
}

/// The kernel's id of this thread.
pub(crate) fn thread_id() -> Option<u32> {
    // SAFETY: no preconditions.
    Some(unsafe { libc::gettid() }.cast_unsigned())
}

/// Whether this process has a thread of this id; false as well where nobody knows.
pub(super) fn thread_lives(tid: u32) -> bool {
    let refused = tgkill(tid, 0).err().and_then(|error| error.raw_os_error());
    !matches!(refused, Some(libc::ESRCH | libc::EINVAL))
}

/// Sends a signal to a thread of this process; 0 only asks whether one could be sent.
fn tgkill(tid: u32, signal: c_int) -> io::Result<()> {
    // SAFETY: a wrong id or signal is refused, and what a signal does is up to its handler.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Names this thread.
pub(crate) fn name_thread(name: &CStr) {
    // SAFETY: names the calling thread by a C string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Makes this thread yield to others.
pub(crate) fn lower_priority() {
    // SAFETY: no preconditions; 0 means this thread, which Linux takes one by one. A refusal is harmless.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// Has the kernel hand a page to children as zeros. Asks for nothing where pages have another size.
///
/// # Safety
/// No file may stand behind the page, nobody but the caller may use it, and zeros must be a value of what is there.
pub(crate) unsafe fn wipe_on_fork(page: NonNull<u8>, bytes: usize) {
    // SAFETY: by the promise of the caller. A smaller range might share its page.
    unsafe {
        if libc::sysconf(libc::_SC_PAGESIZE) == bytes as libc::c_long {
            libc::madvise(page.as_ptr().cast(), bytes, libc::MADV_WIPEONFORK);
        }
    }
}

/// Says whether core dumps have the range. A refusal is harmless.
///
/// # Safety
/// The range must lie in a mapping of the caller's.
pub(crate) unsafe fn in_cores(range: NonNull<u8>, bytes: usize, wanted: InCores) {
    let advice = match wanted {
        InCores::Yes => libc::MADV_DODUMP,
        InCores::No => libc::MADV_DONTDUMP,
    };
    // SAFETY: by the promise of the caller; the contents stay as they are.
    unsafe { libc::madvise(range.as_ptr().cast(), bytes, advice) };
}

/// Sparse use backed by huge pages would cost 2 MiB where 4 KiB are in use. A refusal is harmless.
///
/// # Safety
/// The range must be a mapping of the caller's.
pub(super) unsafe fn keep_pages_small(start: NonNull<u8>, bytes: usize) {
    // SAFETY: by the promise of the caller.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE) };
}

/// Forks past the C library, which then runs no handler.
///
/// # Safety
/// The child may only look at memory, and leave.
#[cfg(test)]
pub(crate) unsafe fn bare_fork() -> Option<libc::pid_t> {
    // SAFETY: by the promise of the caller.
    Some(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as libc::pid_t)
}
