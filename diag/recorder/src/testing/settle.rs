//! Waiting for what is about to end by itself, in steps that become longer.

use std::time::{Duration, Instant};

/// What a test's tasks may take to end, unless told otherwise.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Rounds without any pause: each gives all tasks that can run some turns, and that is enough for most.
const EAGER: u32 = 16;
const FIRST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(20);

/// The steps of one wait.
pub(super) struct Settle {
    until: Instant,
    eager: u32,
    pause: Duration,
}

impl Settle {
    pub(super) fn new(patience: Duration) -> Self {
        Settle { until: Instant::now() + patience, eager: EAGER, pause: FIRST }
    }

    /// The rounds without a pause are over.
    pub(super) fn has_been_eager(&self) -> bool {
        self.eager == 0
    }

    /// How long to pause before the next look; `None` if there is to be no more.
    pub(super) fn next(&mut self) -> Option<Duration> {
        if self.eager > 0 {
            self.eager -= 1;
            return Some(Duration::ZERO);
        }
        let left = self.until.saturating_duration_since(Instant::now());
        let pause = self.pause.min(left);
        self.pause = (self.pause * 2).min(LONGEST);
        (!pause.is_zero()).then_some(pause)
    }
}
