//! Indices handed out and taken back without a lock, which a fork could leave held.
//!
//! A stack of free indices whose links lie in the caller's table, plus a mark below which every
//! index has been in use. The head carries a tag that changes with each operation, so a thread that
//! slept while its index was taken and given back (ABA) fails its exchange. Indices are never
//! checked for being given twice.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The free ones of `0..limit`.
pub(super) struct Pool {
    /// `tag << 32 | index + 1`; a low half of 0 is the empty stack.
    head: AtomicU64,
    /// Indices from here on were never handed out.
    fresh: AtomicU32,
    limit: u32,
}

impl Pool {
    /// All of `0..limit` free.
    pub(super) fn new(limit: u32) -> Self {
        Pool { head: AtomicU64::new(0), fresh: AtomicU32::new(0), limit }
    }

    /// An index that is the caller's until given back; the one given back last comes first.
    pub(super) fn take<'a>(&self, link: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        // Acquire: pairs with the Release in `give`, the new owner sees what the last one wrote.
        let mut head = self.head.load(Ordering::Acquire);
        while let Some(index) = (head as u32).checked_sub(1) {
            // A stale link, because another thread owns the index by now, fails on the tag.
            let next = link(index).load(Ordering::Relaxed);
            match self.exchange(head, next) {
                Ok(()) => return Some(index),
                Err(now) => head = now,
            }
        }
        self.fresh
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |fresh| {
                (fresh < self.limit).then_some(fresh + 1)
            })
            .ok()
    }

    /// Gives `index` back.
    pub(super) fn give<'a>(&self, index: u32, link: impl Fn(u32) -> &'a AtomicU32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link(index).store(head as u32, Ordering::Relaxed);
            match self.exchange(head, index + 1) {
                Ok(()) => return,
                Err(now) => head = now,
            }
        }
    }

    /// No index at or above this one was ever handed out.
    pub(super) fn high_water(&self) -> u32 {
        self.fresh.load(Ordering::Relaxed)
    }

    fn exchange(&self, head: u64, top: u32) -> Result<(), u64> {
        let tag = (head >> 32).wrapping_add(1);
        let new = tag << 32 | u64::from(top);
        // Release: pairs with the Acquire of the next to take, who finds the link; Acquire: of whoever gave it.
        self.head.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

/// `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`
#[cfg(all(test, diag_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    struct Shared {
        pool: Pool,
        links: [AtomicU32; 3],
        /// 1 while an index is in a hand.
        taken: [AtomicU32; 3],
    }

    impl Shared {
        fn take(&self) -> Option<u32> {
            let index = self.pool.take(|i| &self.links[i as usize])?;
            assert_eq!(self.taken[index as usize].swap(1, Ordering::Relaxed), 0, "in two hands");
            Some(index)
        }

        fn give(&self, index: u32) {
            self.taken[index as usize].store(0, Ordering::Relaxed);
            self.pool.give(index, |i| &self.links[i as usize]);
        }
    }

    /// One thread that takes two and gives back the first (the ABA pattern) beside one that takes: no
    /// index is ever in two hands, and none is lost.
    #[test]
    fn an_index_is_in_one_hand() {
        loom::model(|| {
            let zeros = || std::array::from_fn(|_| AtomicU32::new(0));
            let shared = Arc::new(Shared { pool: Pool::new(3), links: zeros(), taken: zeros() });
            let first = [shared.take(), shared.take()];
            first.into_iter().flatten().for_each(|index| shared.give(index));
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.take().into_iter().for_each(|index| shared.give(index)))
            };
            let (one, two) = (shared.take(), shared.take());
            one.into_iter().for_each(|index| shared.give(index));
            two.into_iter().for_each(|index| shared.give(index));
            other.join().unwrap();
            let mut all: Vec<u32> = std::iter::from_fn(|| shared.take()).collect();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        });
    }
}
