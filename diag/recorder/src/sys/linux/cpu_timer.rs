//! A timer of one thread, which strikes that thread whenever it has used so much CPU time.

use std::ffi::c_int;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ptr;
use std::time::Duration;

/// Runs until it is dropped, or its thread ends.
pub(crate) struct CpuTimer(libc::timer_t);

// SAFETY: the kernel's number of a timer, which belongs to the process.
unsafe impl Send for CpuTimer {}

impl CpuTimer {
    /// Sends the thread this signal each time it has used so much, which is less than a second.
    pub(crate) fn start(thread: u32, signal: c_int, period: Duration) -> io::Result<Self> {
        // SAFETY: all zeros is a valid value.
        let mut event: libc::sigevent = unsafe { zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = thread.cast_signed();
        let mut timer = MaybeUninit::uninit();
        // SAFETY: a valid event, and a place for the answer.
        let answer = unsafe { libc::timer_create(clock_of(thread), &raw mut event, timer.as_mut_ptr()) };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded and has filled it in.
        let timer = CpuTimer(unsafe { timer.assume_init() });
        let period = libc::timespec { tv_sec: 0, tv_nsec: period.subsec_nanos().into() };
        let times = libc::itimerspec { it_interval: period, it_value: period };
        // SAFETY: our own timer, and valid times; nobody asks for those before.
        let answer = unsafe { libc::timer_settime(timer.0, 0, &raw const times, ptr::null_mut()) };
        if answer == 0 { Ok(timer) } else { Err(io::Error::last_os_error()) }
    }

    /// That of an ended thread stands still, also if another thread has got the number meanwhile.
    pub(crate) fn is_running(&self) -> bool {
        // SAFETY: all zeros is a valid value, and a place for the answer.
        let mut left: libc::itimerspec = unsafe { zeroed() };
        // SAFETY: our own timer.
        let answer = unsafe { libc::timer_gettime(self.0, &raw mut left) };
        answer == 0 && (left.it_value.tv_sec, left.it_value.tv_nsec) != (0, 0)
    }
}

impl Drop for CpuTimer {
    fn drop(&mut self) {
        // SAFETY: our own timer, which nobody uses any more.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// CPU time that all threads of the process have used.
pub(crate) fn process_cpu_ns() -> u64 {
    super::read_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
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
