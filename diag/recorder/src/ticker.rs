//! The thread that tells pollers that time passes, while they poll so often that asking the clock costs.
//!
//! A tick costs some microseconds of this thread and spares three clock reads a poll, so it runs only while
//! there are many polls; else it looks now and then whether there are.
//!
//! It allocates nothing: for a thread that does, glibc reserves 64 MiB of address space.
//!
//! Besides, it makes room for stacks of parked tasks.
//!
//! Deliberately not here: any time. A tick only says that a remembered stamp is old.

use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::own_thread::OwnThread;
use crate::task::{await_point, totals};
use crate::{clock, sys};

/// As long as a tick of the kernel's coarse clock.
const TICK: Duration = Duration::from_millis(4);
/// Ticks between two looks whether there are still many polls.
const TICKS: u32 = 64;
/// Looks come fewer and fewer while there are not many polls: the first and the last pause.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(640)];
/// Polls a millisecond from which on ticking costs much less than it spares. More than a program does under an
/// instruction counter, whose counts shall not depend on it.
const MANY_A_MS: u64 = 250;

/// The pause between two looks for stacks of parked tasks that can go, which read every record: 10 ms a million.
const ROOM_EVERY: Duration = Duration::from_secs(2);

/// What the thread needs.
const STACK_BYTES: usize = 64 << 10;

/// Starts the thread. Without it everything is as exact, and a poll some nanoseconds dearer.
pub(crate) fn start() -> io::Result<()> {
    sys::start_thread(STACK_BYTES, || {
        sys::name_thread(c"diag-ticker");
        let _own = OwnThread::here();
        run()
    })
}

fn run() -> ! {
    let (mut polls, mut pause, mut last_room) = (totals::polls(), PAUSES[0], Instant::now());
    loop {
        clock::sleep(pause);
        pause = (2 * pause).min(PAUSES[1]);
        let mut since = pause / 2;
        while many(&mut polls, since) {
            (pause, since) = (PAUSES[0], TICKS * TICK);
            for _ in 0..TICKS {
                clock::set_tick(Some(next_tick()));
                clock::sleep(TICK);
            }
            look_for_room(&mut last_room);
        }
        clock::set_tick(None);
        look_for_room(&mut last_room);
    }
}

/// Where more stacks are taken than there is room for, this thread makes some.
fn look_for_room(last: &mut Instant) {
    if last.elapsed() >= ROOM_EVERY {
        await_point::make_room();
        *last = Instant::now();
    }
}

/// A number that never was one, not even in a parent of this process: threads remember the last.
fn next_tick() -> NonZeroU64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed))
}

/// True if there were many polls since the last call, which was so long ago.
fn many(polls: &mut u64, since: Duration) -> bool {
    let before = std::mem::replace(polls, totals::polls());
    polls.wrapping_sub(before) >= MANY_A_MS * since.as_millis() as u64
}
