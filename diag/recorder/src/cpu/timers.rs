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
use std::time::Duration;

use crate::sys::{CpuTimer, procfs, signals};

/// Threads with a timer at the most; each takes some hundred bytes of the kernel's.
const MAX_TIMERS: usize = 8_192;

/// Running timers; dropped, they end.
pub(super) struct Timers {
    period: Duration,
    of: HashMap<u32, CpuTimer>,
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
                match CpuTimer::start(thread, signals::PROFILING, self.period) {
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
