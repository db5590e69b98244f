//! The clocks of the system.

use std::mem::MaybeUninit;

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

/// What the system counts in ticks, as nanoseconds.
pub(super) fn ticks_ns(ticks: u64) -> Option<u64> {
    // SAFETY: sysconf has no preconditions.
    let ticks_per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    ticks.checked_mul(1_000_000_000)?.checked_div(ticks_per_second)
}

/// CPU time that all threads of the process have used, those that ended as well: in its own code and in the kernel.
pub(crate) fn cpu_times_ns() -> Option<[u64; 2]> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a place for the answer, which is numbers: zeros are some.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    Some(
        [usage.ru_utime, usage.ru_stime]
            .map(|time| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_that_of_the_process() {
        let before = cpu_times_ns().expect("there is one");
        let clock_ns = || read_ns(libc::CLOCK_PROCESS_CPUTIME_ID);
        let from_ns = clock_ns();
        while clock_ns() < from_ns + 50_000_000 {}
        let after = cpu_times_ns().expect("there is one");
        let used_ns = after.iter().sum::<u64>() - before.iter().sum::<u64>();
        assert!((49_000_000..clock_ns() - from_ns + 2_000_000).contains(&used_ns), "{used_ns}");
        assert!(after[0] >= before[0] && after[1] >= before[1]);
    }
}
