//! The clocks of the system.

/// Nanoseconds of the precise monotonic clock.
#[inline]
pub(crate) fn precise_ns() -> u64 {
    read_ns(libc::CLOCK_MONOTONIC)
}

/// What the clock of this id says. There must be one.
#[inline]
pub(super) fn read_ns(id: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to fill.
    unsafe { libc::clock_gettime(id, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
