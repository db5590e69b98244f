//! A fuse: after some failures in a row nothing is asked for a while, and then one attempt is made.
//!
//! The archive has three levels of them: L1 for each endpoint, L2 for each shard, L3 for all of it. An attempt needs a pass of each,
//! and each hears how it ended; an answer that takes longer than the limit is a failure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diag::Counted;
use tokio::time::Instant;

use super::truth::Place;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// One that is asked all the time has been half-open by so many times the time for which it is open.
const PATIENCE: u32 = 4;

/// Where fuses open.
pub(super) static OPEN_PLACE: Place = Place::new();

/// The times of all fuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// An answer may take so long.
    pub limit: Duration,
    /// A fuse stays open for so long.
    pub open: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times { limit: Duration::from_millis(800), open: Duration::from_secs(30) }
    }
}

impl Times {
    /// The same times, so many times as long: 0.05 for a trial of some seconds.
    ///
    /// # Panics
    /// If that is no time, as it is less than nothing or has no end.
    pub fn scaled(self, by: f64) -> Self {
        Times { limit: self.limit.mul_f64(by), open: self.open.mul_f64(by) }
    }
}

/// A fuse.
pub(super) struct Fuse {
    times: Times,
    /// The mistake: what is turned away makes it stay open for longer.
    is_kept_open: bool,
    /// By then it has been half-open; none of one that is asked seldom.
    half_open_within: Option<Duration>,
    state: Mutex<State>,
    refused: AtomicU64,
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

/// The right to make an attempt. It is given back if nobody hears how that ended.
pub(super) struct Pass<'a> {
    fuse: &'a Fuse,
    is_heard: bool,
}

impl Fuse {
    pub(super) fn new(times: Times, is_kept_open: bool) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Fuse { times, is_kept_open, half_open_within: None, state, refused: AtomicU64::new(0) }
    }

    /// It is asked all the time, and so is half-open when its time is over.
    pub(super) fn asked_often(self) -> Self {
        Fuse { half_open_within: Some(self.times.open * PATIENCE), ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass, if an attempt may be made.
    pub(super) fn pass(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        let may_pass = match &mut *state {
            State::Closed { .. } => true,
            State::HalfOpen => false,
            State::Open { since, .. } if self.is_kept_open => {
                // Fault `fuse-stuck-open`: a quiet time was asked for, and this is none.
                *since = Instant::now();
                false
            }
            State::Open { since, .. } => since.elapsed() >= self.times.open,
        };
        if !may_pass {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if matches!(*state, State::Open { .. }) {
            *state = State::HalfOpen;
        }
        Some(Pass { fuse: self, is_heard: false })
    }

    fn open(&self, since: Instant) -> State {
        let open = OPEN_PLACE.note(Counted::new(OpenFuse));
        let _open = match self.half_open_within {
            Some(within) => open.expect_dropped(within),
            None => open,
        };
        State::Open { since, _open }
    }

    /// True while it is open.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open { .. })
    }

    /// How many attempts it turned away.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Pass<'_> {
    /// Hears how the attempt ended.
    pub(super) fn hear(mut self, went_well: bool) {
        self.is_heard = true;
        let mut state = self.fuse.state();
        *state = match &*state {
            // Of an attempt that began before it opened.
            State::Open { .. } => return,
            _ if went_well => State::Closed { failures: 0 },
            State::HalfOpen => self.fuse.open(Instant::now()),
            State::Closed { failures } if failures + 1 >= FAILURES => self.fuse.open(Instant::now()),
            State::Closed { failures } => State::Closed { failures: failures + 1 },
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.fuse.state();
        if !self.is_heard && matches!(*state, State::HalfOpen) {
            // The next one may try: it has been open for long enough.
            let now = Instant::now();
            *state = self.fuse.open(now.checked_sub(self.fuse.times.open).unwrap_or(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn opened(is_kept_open: bool) -> Fuse {
        let fuse = Fuse::new(Times::default(), is_kept_open);
        for failure in 0..FAILURES {
            assert!(!fuse.is_open(), "after {failure} failures");
            fuse.pass().expect("it is closed").hear(false);
        }
        assert!(fuse.is_open());
        fuse
    }

    const HALF_A_MINUTE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn one_attempt_has_a_pass_when_its_time_is_over() {
        let fuse = opened(false);
        advance(HALF_A_MINUTE - Duration::from_millis(1)).await;
        assert!(fuse.pass().is_none(), "too early");
        advance(Duration::from_millis(1)).await;
        let pass = fuse.pass().expect("half-open");
        assert!(fuse.pass().is_none(), "a second one");
        pass.hear(true);
        assert!(fuse.pass().is_some());
        assert_eq!(fuse.refused(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_again_when_the_attempt_fails() {
        let fuse = opened(false);
        advance(HALF_A_MINUTE).await;
        fuse.pass().expect("half-open").hear(false);
        assert!(fuse.is_open() && fuse.pass().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_is_not_used_is_the_next_ones() {
        let fuse = opened(false);
        advance(HALF_A_MINUTE).await;
        drop(fuse.pass().expect("half-open"));
        assert!(fuse.pass().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_went_well_in_between_counts_the_failures_anew() {
        let fuse = Fuse::new(Times::default(), false);
        for went_well in [false, false, false, false, true, false, false, false, false] {
            fuse.pass().expect("it is closed").hear(went_well);
        }
        assert!(!fuse.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_is_half_open_if_it_is_asked_to_make_that_mistake() {
        let fuse = opened(true);
        for _ in 0..10 {
            advance(HALF_A_MINUTE).await;
            assert!(fuse.pass().is_none());
        }
    }
}
