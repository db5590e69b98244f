//! Call stacks, each kept once: a hash table that only grows, in memory of our own.
//!
//! Frames lie in one arena of words; a stack's number is the place of its length word, so reading
//! one back needs no second table. Two threads that bring the same new stack at once both write it
//! and one entry wins; the loser's words stay unused. When the table or the arena is full, further
//! stacks get the number [`OTHER`]: the sample stays exact, only its place is not known.
//!
//! Each stack has a [`Tally`].
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::tally::Tally;
use crate::memory;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of every stack that could not be taken or kept.
pub(super) const OTHER: u32 = 0;

/// How far from its own entry a stack may lie.
const PROBES: usize = 64;

/// All stacks seen so far.
pub(super) struct Stacks {
    /// `hash's high half << 32 | number`; 0 is free, and 0 is no stack's number. A power of two of them.
    entries: &'static [AtomicU64],
    /// Of each stack `place of its tally << 8 | length`, then its frames.
    words: &'static [AtomicU64],
    /// Words from here on are free; word 0 is that of the empty stack, `OTHER`.
    used: AtomicU32,
    tallies: &'static [Tally],
    /// Tallies from here on are nobody's; the first is that of `OTHER`.
    tallies_used: AtomicU32,
}

const LEN_BITS: u32 = 8;
const _: () = assert!(crate::stack::MAX_FRAMES < 1 << LEN_BITS);

impl Stacks {
    /// Address space that [`new`](Stacks::new) takes.
    pub(super) const fn bytes(bits: u32, frames: u32) -> usize {
        let stacks = size_of::<AtomicU64>() + size_of::<Tally>();
        (stacks << bits) + frames as usize * size_of::<AtomicU64>()
    }

    /// An empty table for `2^bits` stacks of so many frames in all; `None` if there is no memory for it.
    pub(super) fn new(bits: u32, frames: u32) -> Option<Self> {
        Some(Stacks {
            entries: memory::zeroed(1 << bits)?,
            words: memory::zeroed(frames as usize)?,
            used: AtomicU32::new(1),
            tallies: memory::zeroed(1 << bits)?,
            tallies_used: AtomicU32::new(1),
        })
    }

    /// The number of this stack, the same for the same frames as long as the process lives.
    pub(super) fn intern(&self, frames: &[u64]) -> u32 {
        if frames.is_empty() {
            return OTHER;
        }
        let hash = hash(frames);
        let mut written = None;
        for probe in 0..PROBES {
            let entry = &self.entries[(hash as usize + probe) & (self.entries.len() - 1)];
            let mut seen = entry.load(Ordering::Acquire);
            if seen == 0 {
                let Some(number) = written.or_else(|| self.write(frames)) else { return OTHER };
                written = Some(number);
                let new = hash >> 32 << 32 | u64::from(number);
                // Release: pairs with the Acquire loads, who sees the number sees the frames.
                match entry.compare_exchange(0, new, Ordering::Release, Ordering::Acquire) {
                    Ok(_) => return number,
                    Err(now) => seen = now,
                }
            }
            if seen >> 32 == hash >> 32 && self.frames(seen as u32).eq(frames.iter().copied()) {
                return seen as u32;
            }
        }
        OTHER
    }

    /// The frames of a stack, innermost first, as return addresses; none for [`OTHER`].
    pub(super) fn frames(&self, number: u32) -> impl Iterator<Item = u64> {
        let start = number as usize;
        let len = self.words[start].load(Ordering::Relaxed) as usize & ((1 << LEN_BITS) - 1);
        self.words[start + 1..][..len].iter().map(|word| word.load(Ordering::Relaxed))
    }

    /// The counters of a stack.
    pub(super) fn tally(&self, number: u32) -> &Tally {
        &self.tallies[(self.words[number as usize].load(Ordering::Relaxed) >> LEN_BITS) as usize]
    }

    /// The numbers and counters of all stacks, [`OTHER`] first.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (u32, &Tally)> {
        let kept = self.entries.iter().map(|entry| entry.load(Ordering::Acquire) as u32);
        let numbers = std::iter::once(OTHER).chain(kept.filter(|&number| number != 0));
        numbers.map(|number| (number, self.tally(number)))
    }

    fn write(&self, frames: &[u64]) -> Option<u32> {
        let start = take(&self.used, frames.len() as u32 + 1, self.words.len())?;
        let tally = take(&self.tallies_used, 1, self.tallies.len())?;
        let words = &self.words[start as usize..][..=frames.len()];
        words[0].store(u64::from(tally) << LEN_BITS | frames.len() as u64, Ordering::Relaxed);
        for (word, frame) in words[1..].iter().zip(frames) {
            word.store(*frame, Ordering::Relaxed);
        }
        Some(start)
    }
}

/// The first of `needed` places that are the caller's from now on.
fn take(used: &AtomicU32, needed: u32, len: usize) -> Option<u32> {
    let more = |used: u32| used.checked_add(needed).filter(|&end| end as usize <= len);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()
}

/// Multiply and fold, one step a frame; the finish spreads the last frame over all bits.
fn hash(frames: &[u64]) -> u64 {
    let mixed = frames.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, frame| {
        (hash ^ frame).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    });
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ mixed >> 29
}
