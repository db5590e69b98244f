//! The thread that tells pollers that time passes, while they poll so often that asking the clock costs.
//!
//! A tick costs some microseconds of this thread and spares three clock reads a poll, so it runs only while
//! there are many polls; else it looks now and then whether there are.
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
/// Ticks between two looks whether there are still many polls.
const TICKS: u32 = 64;
/// Looks come fewer and fewer while there are not many polls: the first and the last pause.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(640)];
/// Polls a millisecond from which on ticking costs much less than it spares. More than a program does under an
/// instruction counter, whose counts shall not depend on it.
const MANY_A_MS: u64 = 250;

/// Starts the thread. Without it everything is as exact, and a poll some nanoseconds dearer.
pub(crate) fn start() -> std::io::Result<()> {
    let stack_bytes = 64 << 10;
    thread::Builder::new().name("diag-ticker".to_owned()).stack_size(stack_bytes).spawn(run)?;
    Ok(())
}

fn run() {
    let (mut tick, mut polls, mut pause) = (NonZeroU64::MIN, totals::polls(), PAUSES[0]);
    loop {
        thread::sleep(pause);
        pause = (2 * pause).min(PAUSES[1]);
        let mut since = pause / 2;
        while many(&mut polls, since) {
            (pause, since) = (PAUSES[0], TICKS * TICK);
            for _ in 0..TICKS {
                clock::set_tick(Some(tick));
                tick = tick.saturating_add(1);
                thread::sleep(TICK);
            }
        }
        clock::set_tick(None);
    }
}

/// True if there were many polls since the last call, which was so long ago.
fn many(polls: &mut u64, since: Duration) -> bool {
    let before = std::mem::replace(polls, totals::polls());
    polls.wrapping_sub(before) >= MANY_A_MS * since.as_millis() as u64
}
