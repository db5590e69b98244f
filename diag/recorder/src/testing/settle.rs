//! Waiting for what is about to end by itself, in steps that become longer.

use std::time::{Duration, Instant};

/// What a test's tasks may take to end, unless told otherwise.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Rounds without any pause: each gives all tasks that can run some turns, and that is enough for most.
const EAGER: u32 = 16;
const FIRST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(20);
/// So often at most what is too young to be told is waited for beyond the patience, which is a matter of two ticks.
const BEYOND: u32 = 50;

/// The steps of one wait.
pub(super) struct Settle {
    until: Instant,
    eager: u32,
    pause: Duration,
    beyond: u32,
}

impl Settle {
    pub(super) fn new(patience: Duration) -> Self {
        Settle { until: Instant::now() + patience, eager: EAGER, pause: FIRST, beyond: BEYOND }
    }

    /// The rounds without a pause are over.
    pub(super) fn has_been_eager(&self) -> bool {
        self.eager == 0
    }

    /// How long to pause before the next look; `None` if there is to be no more. What [`is_early`](Remains::is_early) is waited for
    /// in any case: whoever has no patience, or no CPU for as long, is to be told of leaks all the same.
    pub(super) fn next(&mut self, is_early: bool) -> Option<Duration> {
        if self.eager > 0 {
            self.eager -= 1;
            return Some(Duration::ZERO);
        }
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.beyond = self.beyond.checked_sub(u32::from(is_early))?;
            return is_early.then_some(FIRST);
        }
        let pause = self.pause.min(left);
        self.pause = (self.pause * 2).min(LONGEST);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_young_is_waited_for_without_patience() {
        let mut settle = Settle::new(Duration::ZERO);
        assert!((0..EAGER).all(|_| settle.next(false) == Some(Duration::ZERO)));
        assert_eq!(settle.next(false), None);
        let waited: Duration = std::iter::from_fn(|| settle.next(true)).sum();
        assert_eq!(waited, FIRST * BEYOND);
        assert!(waited >= Duration::from_millis(20), "two ticks of the slowest clock");
        assert_eq!(settle.next(true), None, "there is an end");
    }
}
