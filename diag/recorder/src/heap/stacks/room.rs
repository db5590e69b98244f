//! Room for stacks: chunks that are free, and those of stacks that nobody holds.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::super::counters::CensusCounters;
use super::{EVICTED, HOLDER, KEPT, LEN, Stacks, USED_AGAIN};
use crate::dropped::Dropped;
use crate::hash;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Chunks that are looked at to find room: some microseconds.
const LOOKS: u32 = 128;

static GAVE_WAY: Dropped = Dropped::new(
    "heap_stacks_evicted",
    "a call stack without live samples gave its place to a new one, and what was allocated and freed there is under (evicted)",
);
impl Stacks {
    pub(super) fn take(&self) -> Option<u32> {
        self.free.take(|chunk| &self.links[chunk as usize])
    }

    pub(super) fn give_from(&self, first: u32) {
        let mut next = first;
        while next != 0 {
            let chunk = next;
            // Before it is another's.
            next = self.chunks[chunk as usize][1].load(Ordering::Relaxed) as u32;
            self.free.give(chunk, |chunk| &self.links[chunk as usize]);
        }
    }

    pub(super) fn take_or_make_room(&self) -> Option<u32> {
        self.take().or_else(|| {
            self.evicting.enter();
            let taken = self.make_room();
            self.evicting.leave();
            taken
        })
    }

    #[cold]
    fn make_room(&self) -> Option<u32> {
        if self.reading.is_anybody() {
            return None;
        }
        (0..LOOKS).find_map(|_| {
            let number = self.hand.fetch_add(1, Ordering::Relaxed) % self.chunks.len() as u32;
            if !self.evict(number) {
                return None;
            }
            GAVE_WAY.count();
            self.take()
        })
    }

    /// Makes the chunks of this stack free, if it is one and nobody holds it. One that was used again is spared once.
    pub(super) fn evict(&self, number: u32) -> bool {
        let words = &self.chunks[number as usize];
        let first = words[0].load(Ordering::Relaxed);
        if first & KEPT == 0 || first >= HOLDER {
            return false;
        }
        if first & USED_AGAIN != 0 {
            words[0].fetch_and(!USED_AGAIN, Ordering::Relaxed);
            return false;
        }
        // Acquire: pairs with the Release of the last holder.
        if words[0].compare_exchange(first, 0, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        // Nobody else comes here until the chunks are another stack's.
        let hash = hash::of_words(self.words(number, first & LEN));
        let word = hash >> 32 << 32 | u64::from(number);
        let is_taken_out =
            |entry: &AtomicU64| entry.compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let _ = self.places(hash).any(is_taken_out);
        self.counters[number as usize].move_to(self.counters_of(EVICTED));
        self.census_of(number).into_iter().for_each(CensusCounters::clear);
        // Another generation. The next holder of this chunk sees it by the Release of `write`.
        words[1].fetch_add(1 << 32, Ordering::Relaxed);
        self.give_from(number);
        true
    }
}
