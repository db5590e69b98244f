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
        self.head.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}
