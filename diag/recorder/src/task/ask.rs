//! Polls that a person asked for: a capture has the runtime poll idle tasks, to see where they are parked.
//!
//! Such a poll is legal and still not harmless: it runs code of the service at a moment of ours, a future that
//! nobody was to poll again may take the place of one that is at work, and a wake-up that was lost is found. So no
//! capture asks unless it was told to, and what it finds ready is counted.

use std::time::{Duration, Instant};

use super::await_point;
use super::pinned::Pinned;
use super::record::TaskRecord;
use crate::current::CurrentTask;

/// Tasks that are asked for a poll at once: about so much work for a worker as a millisecond holds.
const AT_ONCE: usize = 256;
/// How long a poll may let a capture wait: a worker that is busy for longer is looked at otherwise.
const PATIENCE: Duration = Duration::from_millis(20);

/// What came of asking.
#[derive(Default)]
pub(crate) struct Asked {
    /// Polls asked for.
    pub(crate) polls: u64,
    /// Those that ended in time.
    pub(crate) answered: u64,
    pub(crate) spent: Duration,
}

/// Asks each of these tasks for a poll, which leaves in the record where it is parked. Waits for the polls to end;
/// not to be called on a thread that polls tasks.
pub(crate) fn ask(tasks: &[(&'static TaskRecord, CurrentTask)]) -> Asked {
    let started = Instant::now();
    let mut asked = Asked::default();
    if tasks.is_empty() || !await_point::prepare() {
        return asked;
    }
    for tasks in tasks.chunks(AT_ONCE) {
        let pinned: Vec<Pinned> =
            tasks.iter().filter_map(|(record, task)| Pinned::new(record, *task)).collect();
        let polled: Vec<&Pinned> = pinned.iter().filter(|pinned| pinned.record().trace()).collect();
        let late = wait(&polled);
        asked.polls += polled.len() as u64;
        asked.answered += (polled.len() - late) as u64;
        if late == polled.len() && late > 0 {
            // Nobody polls at all: the runtime hangs, or it is the one that we are called on.
            break;
        }
    }
    asked.spent = started.elapsed();
    asked
}

/// Waits until all polls have ended, but not for ever. How many have not.
fn wait(asked: &[&Pinned]) -> usize {
    // An idle worker answers at once, so that sleeping would be the longest part.
    const EAGER: Duration = Duration::from_micros(300);
    let started = Instant::now();
    let mut done = 0;
    loop {
        done += asked[done..].iter().take_while(|pinned| !pinned.record().is_traced()).count();
        let waited = started.elapsed();
        if done == asked.len() {
            return 0;
        }
        if waited > PATIENCE {
            return asked[done..].iter().filter(|pinned| pinned.record().is_traced()).count();
        }
        if waited < EAGER {
            std::thread::yield_now();
        } else {
            crate::clock::sleep(EAGER / 6);
        }
    }
}
