//! The timers of a profile: each thread has one of its own, which strikes that thread whenever it has used so much
//! CPU time.
//!
//! A timer of the whole process would ask less of the kernel. But where it strikes is the kernel's choice, and before
//! Linux 6.4 that was the first thread, asleep or not, whose waiting then failed with `EINTR`; on many cores it strikes
//! less often than asked for; and if it is the old one of `setitimer` it lives on after `exec`, where no handler does,
//! and ends the program. These end with the program that set them, and a child has none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ptr;
use std::time::Duration;

use crate::sys::procfs;

/// Threads with a timer at the most; each takes some hundred bytes of the kernel's.
const MAX_TIMERS: usize = 8_192;

/// Running timers; dropped, they end.
pub(super) struct Timers {
    period: Duration,
    of: HashMap<u32, Timer>,
}

impl Timers {
    /// One for each thread that there is.
    pub(super) fn start(period: Duration) -> io::Result<Self> {
        let mut timers = Timers { period, of: HashMap::new() };
        timers.follow()?;
        Ok(timers)
    }

    /// Takes up threads that have come, and lets go of those that have ended.
    ///
    /// # Errors
    /// If no thread at all has a timer: the first refusal.
    pub(super) fn follow(&mut self) -> io::Result<()> {
        let mut refused = None;
        let threads = procfs::threads()?.collect::<io::Result<Vec<u32>>>()?;
        // That of an ended thread stands still, also if another thread has got the number meanwhile.
        self.of.retain(|_, timer| timer.is_running());
        for thread in threads.into_iter().take(MAX_TIMERS) {
            if let Entry::Vacant(place) = self.of.entry(thread) {
                match Timer::start(thread, self.period) {
                    Ok(timer) => {
                        place.insert(timer);
                    }
                    Err(error) => refused = Some(error),
                }
            }
        }
        match refused {
            Some(error) if self.of.is_empty() => Err(error),
            _ => Ok(()),
        }
    }
}

/// A timer of one thread.
struct Timer(libc::timer_t);

// SAFETY: the kernel's number of a timer, which belongs to the process.
unsafe impl Send for Timer {}

impl Timer {
    fn start(thread: u32, period: Duration) -> io::Result<Self> {
        // SAFETY: all zeros is a valid value.
        let mut event: libc::sigevent = unsafe { zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGPROF;
        event.sigev_notify_thread_id = thread.cast_signed();
        let mut timer = MaybeUninit::uninit();
        // SAFETY: a valid event, and a place for the answer.
        let answer = unsafe { libc::timer_create(clock_of(thread), &raw mut event, timer.as_mut_ptr()) };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded and has filled it in.
        let timer = Timer(unsafe { timer.assume_init() });
        let period = libc::timespec { tv_sec: 0, tv_nsec: period.subsec_nanos().into() };
        let times = libc::itimerspec { it_interval: period, it_value: period };
        // SAFETY: our own timer, and valid times; nobody asks for those before.
        let answer = unsafe { libc::timer_settime(timer.0, 0, &raw const times, ptr::null_mut()) };
        if answer == 0 { Ok(timer) } else { Err(io::Error::last_os_error()) }
    }

    fn is_running(&self) -> bool {
        // SAFETY: all zeros is a valid value, and a place for the answer.
        let mut left: libc::itimerspec = unsafe { zeroed() };
        // SAFETY: our own timer.
        let answer = unsafe { libc::timer_gettime(self.0, &raw mut left) };
        answer == 0 && (left.it_value.tv_sec, left.it_value.tv_nsec) != (0, 0)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: our own timer, which nobody uses any more.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The clock of a thread's CPU time, as the kernel numbers it (clock_getcpuclockid(3)): the thread's id inverted, then
/// three bits that say "of a thread" and "time on a core".
fn clock_of(thread: u32) -> libc::clockid_t {
    const OF_A_THREAD: libc::clockid_t = 4;
    const ON_A_CORE: libc::clockid_t = 2;
    !thread.cast_signed() << 3 | OF_A_THREAD | ON_A_CORE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_thread_is_what_the_c_library_says() {
        let mut clock = 0;
        // SAFETY: this thread, and a place for the answer.
        let (thread, answer) =
            unsafe { (libc::gettid(), libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock)) };
        assert_eq!((answer, clock_of(thread.cast_unsigned())), (0, clock));
    }
}
