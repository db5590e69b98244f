//! What keeps a writer that fails from being tried over and over.

use std::time::Duration;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// So long nothing is tried then.
const OPEN_FOR: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Fuse {
    failures: u32,
    opened: Option<Duration>,
}

impl Fuse {
    /// Whether nothing may be tried at this time.
    pub(super) fn is_open(&self, now: Duration) -> bool {
        self.opened.is_some_and(|opened| now.saturating_sub(opened) < OPEN_FOR)
    }

    /// Takes into account what came of a try. After a while one may be: its failure opens the fuse again.
    pub(super) fn tried(&mut self, is_written: bool, now: Duration) {
        if is_written {
            *self = Fuse::default();
            return;
        }
        self.failures += 1;
        if self.failures >= FAILURES {
            (self.failures, self.opened) = (FAILURES - 1, Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn five_failures_in_a_row_open_it_for_half_a_minute() {
        let mut fuse = Fuse::default();
        for now in 1..=4 {
            fuse.tried(false, s(now));
        }
        assert!(!fuse.is_open(s(4)));
        fuse.tried(true, s(5));
        for now in 6..=9 {
            fuse.tried(false, s(now));
        }
        assert!(!fuse.is_open(s(9)), "four, since one was written in between");
        fuse.tried(false, s(10));
        assert!(fuse.is_open(s(10)) && fuse.is_open(s(39)) && !fuse.is_open(s(40)));
        fuse.tried(false, s(41));
        assert!(fuse.is_open(s(70)), "the one that may be tried fails");
        fuse.tried(true, s(72));
        fuse.tried(false, s(73));
        assert!(!fuse.is_open(s(73)));
    }
}
