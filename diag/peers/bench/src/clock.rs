//! The clocks of the benchmark, and the price of the one that the recorder reads.
//!
//! Work is judged by CPU time: the wall also tells what else the machine is busy with.

/// CPU time of this thread in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of all threads of this process in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Time on the wall in nanoseconds, from an arbitrary start.
pub fn wall_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// What one read of the recorder's everyday clock costs here: the cheapest of 32 batches.
///
/// That is the coarse monotonic clock, which stamps spawns and polls.
pub fn recorder_read_ns() -> f64 {
    const READS: u32 = 10_000;
    let batch = || {
        let start = wall_ns();
        for _ in 0..READS {
            std::hint::black_box(read(libc::CLOCK_MONOTONIC_COARSE));
        }
        (wall_ns() - start) as f64 / f64::from(READS)
    };
    (0..32).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

#[inline]
fn read(id: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to fill; the clocks named above exist on Linux.
    unsafe { libc::clock_gettime(id, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
