//! The fuse of a mirror: after some failures in a row nothing is asked of it for a while, and then one attempt is made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diag::Counted;

use crate::Fault;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// It stays open for so long.
const OPEN: Duration = Duration::from_secs(1);
/// By then it has been half-open, however little is asked of its mirror.
const HALF_OPEN_WITHIN: Duration = Duration::from_secs(10);

/// A fuse.
pub(crate) struct Fuse {
    fault: Option<Fault>,
    state: Mutex<State>,
    /// How many checks it turned away.
    pub(crate) refused: AtomicU64,
}

enum State {
    Closed {
        failures: u32,
    },
    Open {
        since: Instant,
        _open: Counted<OpenFuse>,
    },
    /// One attempt is under way.
    HalfOpen,
}

/// Counted while a fuse is open.
struct OpenFuse;

impl State {
    fn open() -> Self {
        let open = Counted::new(OpenFuse); // FAULT fuse-stuck-open
        State::Open { since: Instant::now(), _open: open.expect_dropped(HALF_OPEN_WITHIN) }
    }
}

impl Fuse {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Fuse { fault, state: Mutex::new(State::Closed { failures: 0 }), refused: AtomicU64::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if something may be asked of the mirror. Who is told so tells what came of it.
    pub(crate) fn lets_through(&self) -> bool {
        let mut state = self.state();
        match &mut *state {
            State::Closed { .. } => return true,
            State::Open { since, .. } if self.fault == Some(Fault::FuseStuckOpen) => *since = Instant::now(),
            State::Open { since, .. } if since.elapsed() >= OPEN => {
                *state = State::HalfOpen;
                return true;
            }
            State::Open { .. } | State::HalfOpen => {}
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Hears how an attempt ended.
    pub(crate) fn hear(&self, went_well: bool) {
        let mut state = self.state();
        *state = match &*state {
            // Of an attempt that began before it opened.
            State::Open { .. } => return,
            _ if went_well => State::Closed { failures: 0 },
            State::HalfOpen => State::open(),
            State::Closed { failures } if failures + 1 >= FAILURES => State::open(),
            State::Closed { failures } => State::Closed { failures: failures + 1 },
        };
    }

    /// True while it is open.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(fault: Option<Fault>) -> Fuse {
        let fuse = Fuse::new(fault);
        (0..FAILURES).for_each(|_| fuse.hear(false));
        fuse
    }

    /// As if it had opened so much earlier.
    fn age(fuse: &Fuse, time: Duration) {
        if let State::Open { since, .. } = &mut *fuse.state() {
            *since -= time;
        }
    }

    #[test]
    fn one_attempt_is_let_through_when_its_time_is_over() {
        let fuse = opened(None);
        assert!(!fuse.lets_through());
        age(&fuse, OPEN);
        assert!(fuse.lets_through());
        assert!(!fuse.lets_through(), "a second one");
        fuse.hear(true);
        assert!(fuse.lets_through());
    }

    #[test]
    fn it_never_is_half_open_if_it_is_asked_to_make_that_mistake() {
        let fuse = opened(Some(Fault::FuseStuckOpen));
        age(&fuse, OPEN);
        assert!(!fuse.lets_through());
    }

    #[test]
    fn it_opens_again_when_the_attempt_fails() {
        let fuse = opened(None);
        age(&fuse, OPEN);
        assert!(fuse.lets_through());
        fuse.hear(false);
        assert!(fuse.is_open());
    }
}
