//! What keeps a service that is in trouble from being asked over and over.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Answers and failures of so long count.
const WINDOW: Duration = Duration::from_secs(60);
/// Fewer of them say nothing.
const FEWEST: usize = 4;
/// So long nobody asks once it is open; then one may.
const OPEN_FOR: Duration = Duration::from_secs(30);

/// Opens when more than half of the answers of the last minute are failures.
#[derive(Debug, Default)]
pub(super) struct Fuse {
    /// When there was an answer, and whether it was a failure.
    answers: VecDeque<(Instant, bool)>,
    opened: Option<Instant>,
}

impl Fuse {
    /// How long nobody may ask yet; none if one may.
    pub(super) fn closes_in(&self, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.opened?);
        OPEN_FOR.checked_sub(since).filter(|left| !left.is_zero())
    }

    /// Takes an answer into account. Of the one that may ask after a while it decides: a failure opens it again.
    pub(super) fn answered(&mut self, failed: bool, now: Instant) {
        let was_open = self.opened.is_some();
        if was_open && !failed {
            *self = Fuse::default();
        }
        self.answers.push_back((now, failed));
        while self.answers.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.answers.pop_front();
        }
        let failures = self.answers.iter().filter(|(_, failed)| *failed).count();
        let is_bad = self.answers.len() >= FEWEST && failures * 2 > self.answers.len();
        if failed && (was_open || is_bad) {
            self.opened = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at these seconds, `!` being failures.
    fn after(start: Instant, answers: &[(u64, char)]) -> Fuse {
        let mut fuse = Fuse::default();
        for &(second, answer) in answers {
            fuse.answered(answer == '!', start + Duration::from_secs(second));
        }
        fuse
    }

    fn is_open(answers: &[(u64, char)], at_s: u64) -> bool {
        let start = Instant::now();
        after(start, answers).closes_in(start + Duration::from_secs(at_s)).is_some()
    }

    #[test]
    fn it_opens_when_more_than_half_fail() {
        assert!(!is_open(&[(0, '!'), (1, '!'), (2, '!')], 3), "three say nothing");
        assert!(!is_open(&[(0, '.'), (1, '.'), (2, '!'), (3, '!')], 3), "half is not more than half");
        assert!(is_open(&[(0, '.'), (1, '!'), (2, '!'), (3, '!')], 3));
        assert!(!is_open(&[(0, '!'), (1, '!'), (70, '!'), (71, '.')], 71), "old ones do not count");
    }

    #[test]
    fn one_may_ask_after_a_while_and_decides() {
        let bad = [(0, '!'), (1, '!'), (2, '!'), (3, '!')];
        assert!(is_open(&bad, 32) && !is_open(&bad, 33));
        let failed_again = [&bad[..], &[(33, '!')]].concat();
        assert!(is_open(&failed_again, 62) && !is_open(&failed_again, 63));
        let answered = [&bad[..], &[(33, '.'), (34, '!'), (35, '!')]].concat();
        assert!(!is_open(&answered, 36), "it starts anew");
    }
}
