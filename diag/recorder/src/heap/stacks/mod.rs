//! Call stacks, each kept once: a hash table in memory of our own, whose room goes round.
//!
//! Frames lie in chunks of words, a long stack in several; a stack's number is that of its first chunk, so reading one
//! back needs no second table, and each has a [`HeapCounters`]. Two threads that bring the same new stack at once both write
//! it and one entry wins.
//!
//! A stack is kept as long as somebody holds it: each live sample does, and whoever is about to make one. When there
//! is no room left, whoever brings a new stack takes that of one which nobody holds, at best one that was of use once
//! only; what was counted for it goes to [`EVICTED`], so that sums stay exact. Where nothing can be taken in a few tries,
//! or while somebody [reads](Stacks::reading), the new stack is `OTHER` itself. Both are counted. Nothing here waits.
//!
//! | first word of a chunk | meaning |
//! |---|---|
//! | `holders << 32` | free, or not the first of its stack |
//! | `holders << 32 \| KEPT \| ..` | the first of a stack, whose other words do not change while somebody holds it |
//!
//! The number of holders may be too high for a moment, anywhere: who wants to hold a stack counts itself first and looks
//! then, and goes away again if it is not that stack.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

mod held;
#[cfg(all(test, diag_loom))]
mod models;
mod room;
#[cfg(all(test, not(diag_loom)))]
mod tests;

use std::iter::successors;

pub(super) use held::Held;

use super::counters::{CensusCounters, HeapCounters};
use super::pool::Pool;
use crate::core_layout::CORE_LAYOUT;
use crate::dropped::Dropped;
use crate::fork::Present;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::{hash, memory};

/// The number of every stack that could not be taken or kept.
pub(super) const OTHER: u32 = 0;
/// The number under which all is summed up that was counted for stacks which gave their place away: no sample has it.
pub(super) const EVICTED: u32 = 1;
/// Numbers that are no stack's.
pub(super) const RESERVED: u32 = 2;

/// How far from its own entry a stack may lie.
const PROBES: usize = 64;

/// Words of a chunk: its first, its second, and frames.
const CHUNK: usize = 16;
const FRAMES: usize = CHUNK - 2;
/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = CHUNK * size_of::<AtomicU64>();
const ENTRIES_PER_CHUNK: usize = 2;

const HOLDER: u64 = 1 << 32;
/// The chunk is the first of a stack.
const KEPT: u64 = 1 << 31;
/// It was of use again after it was made, or since it was last spared.
const USED_AGAIN: u64 = 1 << 30;
/// How many frames.
const LEN: u64 = (1 << 8) - 1;
const _: () = assert!(crate::stack::MAX_FRAMES < 1 << 8);

static NO_ROOM: Dropped = Dropped::new(
    "heap_samples_without_room_for_stack",
    "a heap sample is under (other), as there was no room for its call stack",
);

/// So many have counters of the census: all, unless every block is recorded, which is for tests.
const fn census_stacks(chunks: usize) -> usize {
    const MOST: usize = 1 << 16;
    if chunks < MOST { chunks } else { MOST }
}

/// All stacks that are kept.
pub(super) struct Stacks {
    /// `hash's high half << 32 | number`; 0 is free, and 0 is no stack's number. A power of two of them.
    entries: &'static [AtomicU64],
    /// The second word is `generation << 32 | number of the next chunk`, 0 for none.
    chunks: &'static [[AtomicU64; CHUNK]],
    free: Pool,
    links: &'static [AtomicU32],
    /// By number.
    counters: &'static [HeapCounters],
    /// By number, of the first numbers.
    census: &'static [CensusCounters],
    /// Where the search for room goes on.
    hand: AtomicU32,
    /// Those who look for room.
    evicting: Present,
    /// Those who read stacks that nobody may hold.
    reading: Present,
}

impl Stacks {
    /// Address space that the table takes.
    pub(super) const fn bytes(words: u32) -> usize {
        let chunks = words as usize / CHUNK;
        let of_chunk = CHUNK * size_of::<AtomicU64>() + size_of::<AtomicU32>() + size_of::<HeapCounters>();
        chunks * (of_chunk + ENTRIES_PER_CHUNK * size_of::<AtomicU64>())
            + census_stacks(chunks) * size_of::<CensusCounters>()
    }

    /// An empty table with room for so many words, a power of two; `None` if there is no memory for it.
    pub(super) fn new(words: u32) -> Option<Self> {
        let chunks = words as usize / CHUNK;
        Some(Stacks::of(
            memory::zeroed(chunks * ENTRIES_PER_CHUNK)?,
            memory::zeroed::<AtomicU64>(chunks * CHUNK)?.as_chunks().0,
            memory::zeroed(chunks)?,
            memory::zeroed(chunks)?,
            memory::zeroed(census_stacks(chunks))?,
        ))
    }

    fn of(
        entries: &'static [AtomicU64],
        chunks: &'static [[AtomicU64; CHUNK]],
        links: &'static [AtomicU32],
        counters: &'static [HeapCounters],
        census: &'static [CensusCounters],
    ) -> Self {
        let free = Pool::new(chunks.len() as u32);
        let (hand, evicting, reading) = (AtomicU32::new(0), Present::nobody(), Present::nobody());
        let stacks = Stacks { entries, chunks, free, links, counters, census, hand, evicting, reading };
        // Those of no stack are nobody's to hold or to free.
        (0..RESERVED).for_each(|_| _ = stacks.take());
        stacks
    }

    /// Tells readers of cores where the stacks are.
    pub(super) fn tell_cores(&self) {
        let tables = &CORE_LAYOUT.tables;
        tables.stacks.enter(self.chunks.as_ptr().cast(), self.chunks.len());
        tables.stack_places.enter(self.entries.as_ptr().cast(), self.entries.len());
        tables.stack_totals.enter(self.counters.as_ptr().cast(), self.counters.len());
        tables.census_stacks.enter(self.census.as_ptr().cast(), self.census.len());
    }

    /// This stack, held; [`Held::OTHER`] if there is no room for it.
    pub(super) fn intern(&self, frames: &[u64]) -> Held {
        if frames.is_empty() {
            return Held::OTHER;
        }
        let hash = hash::of_words(frames.iter().copied());
        let mut written = None;
        for entry in self.places(hash) {
            // Acquire: pairs with the Release below, by whoever entered it.
            let mut seen = entry.load(Ordering::Acquire);
            if seen == 0 {
                let Some(new) = written.or_else(|| self.write(frames)) else { break };
                written = Some(new);
                let word = hash >> 32 << 32 | u64::from(new.number());
                // Release: pairs with the Acquire loads, who sees the number sees the frames.
                match entry.compare_exchange(0, word, Ordering::Release, Ordering::Acquire) {
                    Ok(_) => return new,
                    Err(now) => seen = now,
                }
            }
            if seen >> 32 == hash >> 32
                && let Some(known) = self
                    .hold_if(seen as u32, |stacks, number| stacks.frames(number).eq(frames.iter().copied()))
            {
                if let Some(written) = written {
                    self.forget(written.number());
                }
                return known;
            }
        }
        if let Some(written) = written {
            self.forget(written.number());
        }
        NO_ROOM.count();
        Held::OTHER
    }

    /// Holds the stack that has this [word](Held::word), if it is kept still.
    pub(super) fn hold(&self, word: u64) -> Option<Held> {
        if word as u32 == OTHER {
            return None;
        }
        self.hold_if(word as u32, |stacks, number| stacks.generation(number) == word >> 32)
    }

    /// Holds the stack of this number if it is the right one.
    fn hold_if(&self, number: u32, is_it: impl Fn(&Self, u32) -> bool) -> Option<Held> {
        let first = &self.chunks[number as usize][0];
        // Acquire: pairs with the Release of `write`, who finds a stack here sees its words.
        let before = first.fetch_add(HOLDER, Ordering::Acquire);
        // From here on a stack that is kept stays as it is.
        if before & KEPT == 0 || !is_it(self, number) {
            first.fetch_sub(HOLDER, Ordering::Release);
            return None;
        }
        if before & USED_AGAIN == 0 {
            first.fetch_or(USED_AGAIN, Ordering::Relaxed);
        }
        Some(Held::new(number, self.generation(number)))
    }

    /// Ends a hold on the stack of this number.
    pub(super) fn release(&self, number: u32) {
        if number != OTHER {
            // Release: pairs with the Acquire of `evict`, which takes over what the holder has counted.
            self.chunks[number as usize][0].fetch_sub(HOLDER, Ordering::Release);
        }
    }

    /// The frames of a stack, innermost first, as return addresses; none for what is no stack. For who holds it or
    /// [reads](Stacks::reading).
    pub(super) fn frames(&self, number: u32) -> impl Iterator<Item = u64> {
        self.words(number, self.chunks[number as usize][0].load(Ordering::Relaxed) & LEN)
    }

    /// The counters of a stack. For who holds it or reads.
    pub(super) fn counters_of(&self, number: u32) -> &HeapCounters {
        &self.counters[number as usize]
    }

    /// The counters of the census for a stack, if it is no later one than all that have some. For who holds it or reads.
    pub(super) fn census_of(&self, number: u32) -> Option<&CensusCounters> {
        self.census.get(number as usize)
    }

    /// The numbers and counters of all stacks, after those of no stack. A stack may be there twice.
    pub(super) fn counters(&self) -> impl Iterator<Item = (u32, &HeapCounters)> {
        // Acquire: pairs with the Release in `intern`.
        let kept = self.entries.iter().map(|entry| entry.load(Ordering::Acquire) as u32);
        let numbers = (0..RESERVED).chain(kept.filter(|&number| number != 0));
        numbers.map(|number| (number, self.counters_of(number)))
    }

    /// No stack gives its place away until this is dropped. Waits a moment for those who are at it; not for hooks.
    pub(super) fn reading(&self) -> Reading<'_> {
        // SeqCst, here and in `make_room`: one of the two sees the other.
        self.reading.enter();
        while self.evicting.is_anybody() {
            std::thread::yield_now();
        }
        Reading { stacks: self }
    }

    /// So many frames from this chunk on.
    fn words(&self, number: u32, len: u64) -> impl Iterator<Item = u64> {
        let words = self.chunks_of(number).flat_map(|chunk| &self.chunks[chunk as usize][2..]);
        words.take(len as usize).map(|word| word.load(Ordering::Relaxed))
    }

    /// Where the stack of this hash may be entered.
    fn places(&self, hash: u64) -> impl Iterator<Item = &AtomicU64> {
        (0..PROBES).map(move |probe| &self.entries[(hash as usize + probe) & (self.entries.len() - 1)])
    }

    /// What tells the stack that has this number now from all that had it before and will have it. For who holds it or reads.
    pub(super) fn word(&self, number: u32) -> u64 {
        Held::new(number, self.generation(number)).word()
    }

    fn generation(&self, number: u32) -> u64 {
        self.chunks[number as usize][1].load(Ordering::Relaxed) >> 32
    }

    /// The chunks of a stack, from that of this number on.
    fn chunks_of(&self, number: u32) -> impl Iterator<Item = u32> {
        let next = |chunk: &u32| Some(self.chunks[*chunk as usize][1].load(Ordering::Relaxed) as u32);
        successors(Some(number), move |chunk| next(chunk).filter(|&next| next != 0))
    }

    /// A new stack, held and not entered; `None` if there is no room.
    fn write(&self, frames: &[u64]) -> Option<Held> {
        // The outermost first, so that each chunk knows the next.
        let mut next = 0;
        for frames in frames.chunks(FRAMES).rev() {
            let Some(chunk) = self.take_or_make_room() else {
                self.give_from(next);
                return None;
            };
            let words = &self.chunks[chunk as usize];
            let generation = words[1].load(Ordering::Relaxed) >> 32;
            words[1].store(generation << 32 | u64::from(next), Ordering::Relaxed);
            for (word, frame) in words[2..].iter().zip(frames) {
                word.store(*frame, Ordering::Relaxed);
            }
            next = chunk;
        }
        // Added, as somebody may be counted as a holder who is about to see that this is not what it wants.
        // Release: pairs with the Acquire of `hold_if`.
        self.chunks[next as usize][0].fetch_add(HOLDER | KEPT | frames.len() as u64, Ordering::Release);
        Some(Held::new(next, self.generation(next)))
    }

    /// Gives back a stack that only the caller holds, and that was not entered.
    #[cold]
    fn forget(&self, number: u32) {
        self.release(number);
        // It may be held for a moment by somebody who takes it for another. Then the next who needs room finds it.
        self.evict(number);
    }
}

/// See [`Stacks::reading`].
#[must_use]
pub(super) struct Reading<'a> {
    stacks: &'a Stacks,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.stacks.reading.leave();
    }
}
