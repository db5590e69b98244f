//! Takes the place of `linux` elsewhere: nothing is told, and what only spares something is not done.

use std::ffi::CStr;
use std::ptr::NonNull;

use crate::allocator::AllocatorStats;

use super::pages::InCores;

/// The precise clock: it is the only one.
#[inline]
pub(crate) fn coarse_ns() -> u64 {
    super::precise_ns()
}

/// Not known.
pub(crate) fn coarse_step_ns() -> Option<u64> {
    None
}

/// Not known.
pub(crate) fn page_bytes() -> Option<u64> {
    None
}

/// Not known.
pub(crate) fn uptime_ns() -> Option<u64> {
    None
}

/// Threads have no numbers that somebody could ask for.
pub(crate) fn thread_id() -> Option<u32> {
    None
}

/// Nobody knows.
pub(super) fn thread_lives(_tid: u32) -> bool {
    false
}

/// Not known.
pub(crate) fn thread_has_child() -> bool {
    false
}

/// Not known.
pub(crate) fn is_child_of_thread(_pid: u32) -> bool {
    false
}

/// It has no name.
pub(crate) fn name_thread(_name: &CStr) {}

/// It stays as it is.
pub(crate) fn lower_priority() {}

/// Children learn from the C library that they are some.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn wipe_on_fork(_page: NonNull<u8>, _bytes: usize) {}

/// Core dumps have it or not.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn in_cores(_range: NonNull<u8>, _bytes: usize, _wanted: InCores) {}

/// They are as large as they are.
///
/// # Safety
/// None is needed.
pub(super) unsafe fn keep_pages_small(_start: NonNull<u8>, _bytes: usize) {}

/// Another C library.
pub(crate) fn glibc_stats() -> Option<AllocatorStats> {
    None
}

/// A limit shows when the system refuses.
pub(crate) enum Limits {}

impl Limits {
    pub(crate) fn now() -> Option<Self> {
        None
    }

    pub(crate) fn mark(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn left_bytes(&self) -> u64 {
        match *self {}
    }
}

/// There is no such way.
///
/// # Safety
/// None is needed.
#[cfg(test)]
pub(crate) unsafe fn bare_fork() -> Option<libc::pid_t> {
    None
}

/// Signals stay as they are.
pub(crate) mod chained {
    use std::io;

    pub(crate) type Notice = fn(i32) -> bool;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(dead_code, reason = "nothing is chained here")]
    pub(crate) enum Before {
        Default,
        Ignored,
        Handler,
    }

    pub(crate) const TERMINATE: i32 = libc::SIGTERM;

    pub(crate) fn may_chain(signal: i32) -> bool {
        (1..65).contains(&signal)
    }

    pub(crate) fn chain(_signal: i32, _notice: Notice) -> io::Result<Before> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn end_by_default(_signal: i32) {}
}
