//! A table of stacks, each kept once and known by its place.
//!
//! It only grows, in memory of our own: services wait at some hundreds of places. Full, it has no room for further
//! stacks; `await_numbers.rs` begins another one then.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{hash, memory};

/// Stacks at the most.
const ENTRIES: usize = 1 << 14;
/// A place takes so many bits.
pub(crate) const PLACE_BITS: u32 = 18;
/// Words of all stacks together at the most.
const WORDS: usize = 1 << PLACE_BITS;
/// How far from its own entry a stack may lie.
const PROBES: usize = 64;

/// The table.
pub(super) struct AwaitStacks {
    /// `high half of the hash << 32 | place`; 0 is free.
    entries: &'static [AtomicU64],
    /// At the place of each stack its length, and then its words.
    words: &'static [AtomicU64],
    /// Words from here on are free. The first is nobody's, so that 0 is no place.
    used: AtomicU32,
}

impl AwaitStacks {
    /// An empty table; `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let (entries, words) = (memory::zeroed(ENTRIES)?, memory::zeroed(WORDS)?);
        Some(AwaitStacks { entries, words, used: AtomicU32::new(1) })
    }

    /// The place of these words, the same for the same words until all are forgotten. `None` without room.
    pub(super) fn intern(&self, words: &[u64]) -> Option<u32> {
        let hash = hash::of_words(words.iter().copied());
        let mut written = None;
        for probe in 0..PROBES {
            let entry = &self.entries[(hash as usize).wrapping_add(probe) % ENTRIES];
            // Acquire: pairs with the Release below, by whoever entered it.
            let mut seen = entry.load(Ordering::Acquire);
            if seen == 0 {
                let place = written.or_else(|| self.write(words))?;
                written = Some(place);
                let new = hash >> 32 << 32 | u64::from(place);
                // Pairs with the Acquire above: who sees the place sees the words.
                match entry.compare_exchange(0, new, Ordering::Release, Ordering::Acquire) {
                    Ok(_) => return Some(place),
                    Err(now) => seen = now,
                }
            }
            if seen >> 32 == hash >> 32 && self.words(seen as u32).eq(words.iter().copied()) {
                return Some(seen as u32);
            }
        }
        None
    }

    /// Its words, for readers of cores.
    pub(super) fn all_words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// Forgets all of them. While nobody asks for a place here; who reads may find anything.
    pub(super) fn clear(&self) {
        self.entries.iter().for_each(|entry| entry.store(0, Ordering::Relaxed));
        self.used.store(1, Ordering::Relaxed);
    }

    /// What has this place.
    pub(super) fn words(&self, place: u32) -> impl Iterator<Item = u64> {
        let start = place as usize;
        let len = self.words.get(start).map_or(0, |len| len.load(Ordering::Relaxed) as usize);
        let words = self.words.get(start + 1..start + 1 + len).unwrap_or_default();
        words.iter().map(|word| word.load(Ordering::Relaxed))
    }

    fn write(&self, words: &[u64]) -> Option<u32> {
        let more = |used: u32| used.checked_add(words.len() as u32 + 1).filter(|&end| end as usize <= WORDS);
        let start = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        let room = &self.words[start as usize..][..=words.len()];
        room[0].store(words.len() as u64, Ordering::Relaxed);
        for (cell, word) in room[1..].iter().zip(words) {
            cell.store(*word, Ordering::Relaxed);
        }
        Some(start)
    }
}

#[cfg(all(test, not(diag_loom)))]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests may allocate")]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_gets_a_place_until_there_is_no_room() {
        let stacks = AwaitStacks::new().unwrap();
        let stack = |n: u64| (0..100).map(|i| n << 8 | i).collect::<Vec<u64>>();
        let first = stacks.intern(&stack(1)).unwrap();
        assert!(stacks.words(first).eq(stack(1)) && stacks.intern(&stack(1)) == Some(first));
        let kept = (2..20_000).filter(|&n| stacks.intern(&stack(n)).is_some()).count();
        assert!((2_000..=WORDS / 101).contains(&kept), "{kept}");
        assert_eq!(stacks.intern(&stack(20_000)), None);
        assert!(stacks.words(first).eq(stack(1)) && stacks.intern(&stack(1)) == Some(first));
        assert_eq!(stacks.words(u32::MAX).count(), 0);
        stacks.clear();
        assert!(stacks.intern(&stack(20_000)).is_some(), "there is room again");
    }
}
