//! Call stacks, each kept once: a hash table that only grows, in memory of our own.
//!
//! Frames lie in one arena of words; a stack's number is the place of its length word, so reading
//! one back needs no second table. Two threads that bring the same new stack at once both write it
//! and one entry wins; the loser's words stay unused. When the table or the arena is full, further
//! stacks get the number [`OTHER`]: the sample stays exact, only its place is not known.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use crate::memory;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of every stack that could not be taken or kept.
pub(super) const OTHER: u32 = 0;

const ENTRIES_BITS: u32 = 16;
/// 8 MiB of address space: 40,000 stacks of 25 frames.
const WORDS: u32 = 1 << 20;
/// How far from its own entry a stack may lie.
const PROBES: usize = 64;

/// All stacks seen so far.
pub(super) struct Stacks {
    /// `hash's high half << 32 | number`; 0 is free, and 0 is no stack's number.
    entries: &'static [AtomicU64],
    words: &'static [AtomicU64],
    /// Words from here on are free; word 0 is the length of the empty stack, `OTHER`.
    used: AtomicU32,
}

impl Stacks {
    /// An empty table; `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        Some(Stacks {
            entries: memory::zeroed(1 << ENTRIES_BITS)?,
            words: memory::zeroed(WORDS as usize)?,
            used: AtomicU32::new(1),
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
            let entry = &self.entries[(hash as usize + probe) & ((1 << ENTRIES_BITS) - 1)];
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
        let len = self.words[start].load(Ordering::Relaxed) as usize;
        self.words[start + 1..][..len].iter().map(|word| word.load(Ordering::Relaxed))
    }

    fn write(&self, frames: &[u64]) -> Option<u32> {
        let needed = frames.len() as u32 + 1;
        let take = |used: u32| used.checked_add(needed).filter(|&end| end <= WORDS);
        let start = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        let words = &self.words[start as usize..][..needed as usize];
        words[0].store(frames.len() as u64, Ordering::Relaxed);
        for (word, frame) in words[1..].iter().zip(frames) {
            word.store(*frame, Ordering::Relaxed);
        }
        Some(start)
    }
}

/// Multiply and fold, one step a frame; the finish spreads the last frame over all bits.
fn hash(frames: &[u64]) -> u64 {
    let mixed = frames.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, frame| {
        (hash ^ frame).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    });
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ mixed >> 29
}
