//! The thread that tells pollers that time passes, while they poll so often that asking the clock costs.
//!
//! A tick costs some microseconds of this thread and spares three clock reads a poll, so it runs only while
//! there are many polls; else it looks four times a second whether there are.
//!
//! It allocates nothing.
//!
//! Deliberately not here: any time. A tick only says that a remembered stamp is old.

use std::num::NonZeroU64;
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::task::totals;

/// As long as a tick of the kernel's coarse clock.
const TICK: Duration = Duration::from_millis(4);
const LOOK: Duration = Duration::from_millis(250);
/// Polls in the time of a look from which on ticking costs less than it spares: 100,000 a second.
const MANY_POLLS: u64 = 25_000;

/// Starts the thread. Without it everything is as exact, and a poll some nanoseconds dearer.
pub(crate) fn start() -> std::io::Result<()> {
    let stack_bytes = 64 << 10;
    thread::Builder::new().name("diag-ticker".to_owned()).stack_size(stack_bytes).spawn(run)?;
    Ok(())
}

fn run() {
    let (mut tick, mut polls) = (NonZeroU64::MIN, totals::polls());
    loop {
        thread::sleep(LOOK);
        while many_since(&mut polls) {
            for _ in 0..LOOK.as_millis() / TICK.as_millis() {
                clock::set_tick(Some(tick));
                tick = tick.saturating_add(1);
                thread::sleep(TICK);
            }
        }
        clock::set_tick(None);
    }
}

fn many_since(polls: &mut u64) -> bool {
    let before = std::mem::replace(polls, totals::polls());
    polls.wrapping_sub(before) >= MANY_POLLS
}
