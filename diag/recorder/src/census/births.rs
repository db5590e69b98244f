//! Birth numbers of blocks, taken in runs, so that threads do not share a counter's line.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that a thread takes at once.
const RUN: u64 = 256;

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The thread's next number, and the end of its run. Plain words without a destructor.
    static RUN_LEFT: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// A number that no other block has or had in this process.
#[inline]
pub(super) fn next() -> u64 {
    let (next, end) = RUN_LEFT.get();
    let next = if next == end { NEXT.fetch_add(RUN, Ordering::Relaxed) } else { next };
    let end = if next < end { end } else { next + RUN };
    RUN_LEFT.set((next + 1, end));
    next
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests may allocate")]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_number_comes_twice() {
        let take = || (0..1_000).map(|_| next()).collect::<Vec<u64>>();
        let mut all: Vec<u64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), all[0] > 0), (4_000, true));
    }
}
