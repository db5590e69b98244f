//! Whether a thread is at work, as the kernel's counts of its time slices tell without disturbing it.
//!
//! That it does not sleep is not enough to signal it: who has just been woken is inside of its system call until it gets a
//! core, which takes a while on a busy machine, and the call then ends with `EINTR` though what it waited for has
//! come. So a thread is signalled after it has been seen at work for a moment in which it has not waited.

use std::io;
use std::time::{Duration, Instant};

use super::no_stack::NoStack;
use crate::sys::{self, procfs};

/// Much longer than a thread takes from waking up to its own code.
const MOMENT: Duration = Duration::from_micros(50);
/// A thread that waits for a core should get it in this time.
const TIMEOUT: Duration = Duration::from_millis(100);

/// What a thread has done since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// How often it got a core; `None` where the kernel does not count that.
    slices: Option<u64>,
    /// How often it left its core to wait.
    waits: u64,
    /// How often it left its core for others.
    preemptions: u64,
}

impl Progress {
    fn of(tid: u32) -> io::Result<Self> {
        // The slices first: they are one more than what follows only if the thread has kept its core in between.
        let slices = procfs::of_thread(tid, "schedstat").ok();
        let switches = procfs::switches(&procfs::of_thread(tid, "status")?);
        let [waits, preemptions] = switches[..] else { return Err(io::ErrorKind::InvalidData.into()) };
        let slices = slices.and_then(|text| procfs::slices(&text)).filter(|slices| *slices > 0);
        Ok(Progress { slices, waits, preemptions })
    }

    /// It has a core; so does, as far as is known, a thread whose slices are not counted.
    fn has_core(self) -> bool {
        self.slices.is_none_or(|slices| slices == self.waits + self.preemptions + 1)
    }

    /// It was at work from then to now, or until it lost its core, and has not waited.
    fn has_worked_since(self, before: Progress) -> bool {
        let kept_core = before.has_core() && self.has_core() && self.slices == before.slices;
        self.waits == before.waits && (kept_core || self.preemptions > before.preemptions)
    }
}

/// Waits until the thread is seen at work. False if it waits itself.
pub(super) fn is_at_work(tid: u32) -> Result<bool, NoStack> {
    let read = || Progress::of(tid).map_err(|error| NoStack::StateUnknown(error.kind()));
    let until = Instant::now() + TIMEOUT;
    let mut before = read()?;
    // Who asks is in the system calls that ask.
    while sys::thread_id() != Some(tid) {
        crate::clock::sleep(MOMENT);
        let now = read()?;
        if now.waits != before.waits || !super::asleep::runs(tid)? {
            return Ok(false);
        }
        if now.has_worked_since(before) {
            break;
        }
        if Instant::now() > until {
            return Err(NoStack::NoAnswer);
        }
        before = now;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its counts after some time without sleeping or waiting.
    fn progress(slices: u64, waits: u64, preemptions: u64) -> Progress {
        Progress { slices: Some(slices), waits, preemptions }
    }

    #[test]
    fn a_thread_is_at_work_that_kept_its_core_or_lost_it_to_others() {
        let on_core = progress(8, 5, 2);
        assert!(on_core.has_worked_since(on_core));
        assert!(progress(8, 5, 3).has_worked_since(on_core), "preempted");
        assert!(!progress(9, 6, 2).has_worked_since(on_core), "it slept");
        let woken = progress(7, 5, 2);
        assert!(!woken.has_worked_since(woken), "it waits for a core");
        assert!(!on_core.has_worked_since(woken), "it got one just now");
        assert!(progress(8, 5, 3).has_worked_since(woken), "it got one and lost it again");
        let unknown = Progress { slices: None, ..on_core };
        assert!(unknown.has_worked_since(unknown));
    }

    #[test]
    fn the_kernel_counts_slices_as_they_are_understood() {
        let own = || Progress::of(sys::thread_id().expect("threads have ids")).expect("it is told");
        // A sandbox may count nothing; then there is nothing to understand.
        assert!((0..1_000).any(|_| own().has_core()), "{:?}", own());
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            tell.send(sys::thread_id().expect("threads have ids")).expect("the test waits");
            let _ = ends.recv();
        });
        let tid = told.recv().expect("it tells");
        while super::super::asleep::runs(tid) == Ok(true) {
            std::thread::yield_now();
        }
        let asleep = Progress::of(tid).expect("it is told");
        assert!(asleep.slices.is_none() || !asleep.has_core(), "{asleep:?}");
        assert_eq!(is_at_work(tid), Ok(false));
        drop(end);
        sleeper.join().expect("it ends");
    }
}
