//! What the CPU does: the stacks of whatever threads run, one for so much CPU time of a thread.
//!
//! The handler of `SIGPROF` copies registers, stack and the current task into a slot (`signal.rs`); the profile
//! empties the slots, walks the copies and counts equal stacks. Nothing is walked, allocated or locked in the
//! handler, and nothing of it runs between profiles. What a stack is called is not looked up here.

mod error;
mod signal;
mod timers;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) use error::CpuError;
use timers::Timers;

use crate::current::CurrentTask;
use crate::fork;
use crate::stack::{self, MAX_FRAMES};
use crate::sys;

/// CPU time from one sample to the next: 99 a second, so that no timer of the service keeps step with it.
pub(crate) const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 99);
/// The slots are to be emptied so often: they then hold the samples of 64 cores.
pub(crate) const DRAIN_EVERY: Duration = Duration::from_millis(20);
/// How long a new thread may run before it is looked at, too.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// Different stacks that are told apart; what comes later has the stack of nobody.
const MAX_STACKS: usize = 1 << 16;

/// There is one profile at a time.
/// The number of the process that is at it, which a child is not.
static BUSY: AtomicU32 = AtomicU32::new(0);

/// A profile that is being taken; dropped, it ends.
pub(crate) struct Running {
    timers: Timers,
    followed: Instant,
    started: Instant,
    cpu_ns_at_start: u64,
    counts: HashMap<Met, u64>,
    _turn: Turn,
}

/// A stack that was met.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Met {
    /// The task that was being polled; of its site only the site counts.
    pub(crate) task: CurrentTask,
    /// Return addresses, innermost first; none if there were too many stacks.
    pub(crate) frames: Box<[u64]>,
}

/// What a profile found.
pub(crate) struct Recorded {
    pub(crate) counts: HashMap<Met, u64>,
    pub(crate) took: Duration,
    /// CPU time of the process meanwhile.
    pub(crate) cpu_ns: u64,
}

/// Begins a profile. Call [`Running::drain`] every [`DRAIN_EVERY`].
pub(crate) fn start() -> Result<Running, CpuError> {
    let turn = Turn::take()?;
    stack::prepare();
    signal::start()?;
    let (cpu_ns_at_start, started) = (sys::process_cpu_ns(), Instant::now());
    let timers = Timers::start(PERIOD).map_err(CpuError::Refused)?;
    Ok(Running { timers, followed: started, started, cpu_ns_at_start, counts: HashMap::new(), _turn: turn })
}

impl Running {
    /// Takes up the samples that are there, and threads that have come.
    pub(crate) fn drain(&mut self) {
        if self.followed.elapsed() > FOLLOW_EVERY {
            self.followed = Instant::now();
            // Refused, the profile shows what it can.
            let _ = self.timers.follow();
        }
        let mut frames = [0; MAX_FRAMES];
        signal::drain(|task, stack| {
            let depth = stack.walk(&mut frames);
            let is_full = self.counts.len() >= MAX_STACKS;
            let met = Met { task: task.site_only(), frames: frames[..depth].into() };
            let met = if is_full && !self.counts.contains_key(&met) {
                Met { frames: [].into(), ..met }
            } else {
                met
            };
            *self.counts.entry(met).or_default() += 1;
        });
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Recorded {
        signal::stop();
        self.drain();
        Recorded {
            counts: std::mem::take(&mut self.counts),
            took: self.started.elapsed(),
            cpu_ns: sys::process_cpu_ns().saturating_sub(self.cpu_ns_at_start),
        }
    }
}

/// The right to take a profile.
struct Turn;

impl Turn {
    fn take() -> Result<Self, CpuError> {
        let process = fork::process().get();
        // Acquire: pairs with the Release of the turn before.
        if BUSY.swap(process, Ordering::Acquire) == process { Err(CpuError::Busy) } else { Ok(Turn) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        signal::stop();
        // Release: pairs with the Acquire of the next turn.
        BUSY.store(0, Ordering::Release);
    }
}
