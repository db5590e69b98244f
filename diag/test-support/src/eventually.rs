//! Waiting for what comes true in its own time.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Short, as what waits holds up a test; long enough to leave a core to what is waited for.
const PAUSE: Duration = Duration::from_millis(1);

/// Calls `probe` until it returns a value, and panics with what it saw last once `within` is over.
#[track_caller]
pub fn eventually<T, Seen: Debug>(
    within: Duration,
    what: &str,
    mut probe: impl FnMut() -> Result<T, Seen>,
) -> T {
    let patience = Patience::new(within);
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) => patience.check(what, seen),
        }
        thread::sleep(PAUSE);
    }
}

/// How long a loop may go on that cannot be a closure: one that awaits, say.
#[derive(Debug)]
pub struct Patience {
    started: Instant,
    within: Duration,
}

impl Patience {
    /// Begins now.
    pub fn new(within: Duration) -> Self {
        Patience { started: Instant::now(), within }
    }

    /// Panics if the time is over: what did not come true, and what was seen last.
    #[track_caller]
    pub fn check(&self, what: &str, seen: impl Debug) {
        let Patience { started, within } = self;
        assert!(started.elapsed() < *within, "not within {within:?}: {what}; last seen: {seen:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_asked_until_it_has_a_value() {
        let mut count = 0;
        let found = eventually(Duration::from_secs(60), "three", || {
            count += 1;
            if count < 3 { Err(count) } else { Ok("three") }
        });
        assert_eq!((found, count), ("three", 3));
    }

    #[test]
    #[should_panic(expected = "not within 2ms: a fourth; last seen: [1, 2, 3]")]
    fn what_was_seen_last_is_in_the_message() {
        eventually(Duration::from_millis(2), "a fourth", || Err::<(), _>([1, 2, 3]));
    }
}
