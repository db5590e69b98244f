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

use std::iter::successors;
use std::num::NonZeroU32;

use super::counters::HeapCounters;
use super::pool::Pool;
use crate::dropped::Dropped;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::{fork, hash, memory};

/// The number of every stack that could not be taken or kept.
pub(super) const OTHER: u32 = 0;
/// The number under which all is summed up that was counted for stacks which gave their place away: no sample has it.
pub(super) const EVICTED: u32 = 1;
/// Numbers that are no stack's.
pub(super) const RESERVED: u32 = 2;

/// How far from its own entry a stack may lie.
const PROBES: usize = 64;
/// Chunks that are looked at to find room: some microseconds.
const LOOKS: u32 = 128;

/// Words of a chunk: its first, its second, and frames.
const CHUNK: usize = 16;
const FRAMES: usize = CHUNK - 2;
const ENTRIES_PER_CHUNK: usize = 2;

const HOLDER: u64 = 1 << 32;
/// The chunk is the first of a stack.
const KEPT: u64 = 1 << 31;
/// It was of use again after it was made, or since it was last spared.
const USED_AGAIN: u64 = 1 << 30;
/// How many frames.
const LEN: u64 = (1 << 8) - 1;
const _: () = assert!(crate::stack::MAX_FRAMES < 1 << 8);

static GAVE_WAY: Dropped = Dropped::new(
    "heap_stacks_evicted",
    "a call stack without live samples gave its place to a new one, and what was allocated and freed there is under (evicted)",
);
static NO_ROOM: Dropped = Dropped::new(
    "heap_samples_without_room_for_stack",
    "a heap sample is under (other), as there was no room for its call stack",
);

/// A stack that is held: its number, and which of all that ever had this number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held(u64);

impl Held {
    const OTHER: Held = Held(OTHER as u64);

    pub(super) fn number(self) -> u32 {
        self.0 as u32
    }

    /// To be remembered by whoever does not hold it; see [`Stacks::hold`].
    pub(super) fn word(self) -> u64 {
        self.0
    }

    /// The number in such a word.
    pub(super) fn number_of(word: u64) -> u32 {
        word as u32
    }
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
    }

    /// An empty table with room for so many words, a power of two; `None` if there is no memory for it.
    pub(super) fn new(words: u32) -> Option<Self> {
        let chunks = words as usize / CHUNK;
        Some(Stacks::of(
            memory::zeroed(chunks * ENTRIES_PER_CHUNK)?,
            memory::zeroed::<AtomicU64>(chunks * CHUNK)?.as_chunks().0,
            memory::zeroed(chunks)?,
            memory::zeroed(chunks)?,
        ))
    }

    fn of(
        entries: &'static [AtomicU64],
        chunks: &'static [[AtomicU64; CHUNK]],
        links: &'static [AtomicU32],
        counters: &'static [HeapCounters],
    ) -> Self {
        let free = Pool::new(chunks.len() as u32);
        let (hand, evicting, reading) = (AtomicU32::new(0), Present::nobody(), Present::nobody());
        let stacks = Stacks { entries, chunks, free, links, counters, hand, evicting, reading };
        // Those of no stack are nobody's to hold or to free.
        (0..RESERVED).for_each(|_| _ = stacks.take());
        stacks
    }

    /// This stack, held; [`Held::OTHER`] if there is no room for it.
    pub(super) fn intern(&self, frames: &[u64]) -> Held {
        if frames.is_empty() {
            return Held::OTHER;
        }
        let hash = hash::of_words(frames.iter().copied());
        let mut written = None;
        for entry in self.places(hash) {
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
        Some(Held(self.generation(number) << 32 | u64::from(number)))
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

    /// The numbers and counters of all stacks, after those of no stack. A stack may be there twice.
    pub(super) fn counters(&self) -> impl Iterator<Item = (u32, &HeapCounters)> {
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
        Some(Held(self.generation(next) << 32 | u64::from(next)))
    }

    /// Gives back a stack that only the caller holds, and that was not entered.
    #[cold]
    fn forget(&self, number: u32) {
        self.release(number);
        // It may be held for a moment by somebody who takes it for another. Then the next who needs room finds it.
        self.evict(number);
    }

    fn take(&self) -> Option<u32> {
        self.free.take(|chunk| &self.links[chunk as usize])
    }

    fn give_from(&self, first: u32) {
        let mut next = first;
        while next != 0 {
            let chunk = next;
            // Before it is another's.
            next = self.chunks[chunk as usize][1].load(Ordering::Relaxed) as u32;
            self.free.give(chunk, |chunk| &self.links[chunk as usize]);
        }
    }

    fn take_or_make_room(&self) -> Option<u32> {
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
    fn evict(&self, number: u32) -> bool {
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
        // Another generation. The next holder of this chunk sees it by the Release of `write`.
        words[1].fetch_add(1 << 32, Ordering::Relaxed);
        self.give_from(number);
        true
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

/// How many threads of this process are somewhere, `process << 32 | how many`: a child has none of its parent's.
struct Present(AtomicU64);

impl Present {
    fn nobody() -> Self {
        Present(AtomicU64::new(0))
    }

    fn enter(&self) {
        // A child has a higher number than its parent.
        let more = |present: u64| Some(present.max(Present::nobody_of(fork::process())) + 1);
        let _always_changed = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn is_anybody(&self) -> bool {
        self.0.load(Ordering::SeqCst) > Present::nobody_of(fork::process())
    }

    fn nobody_of(process: NonZeroU32) -> u64 {
        u64::from(process.get()) << 32
    }
}

#[cfg(all(test, not(diag_loom)))]
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests may allocate"
)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::super::weight::Weight;
    use super::*;

    /// So many chunks, of which the first ones are nobody's.
    fn table(chunks: u32) -> Stacks {
        Stacks::new(chunks * CHUNK as u32).expect("memory")
    }

    /// A stack of so many frames that nobody else has.
    fn stack(name: u64, len: u64) -> Vec<u64> {
        (0..len).map(|frame| name << 8 | frame).collect()
    }

    /// Interns it, counts a block there, and lets go of it.
    fn pass(stacks: &Stacks, frames: &[u64]) -> u32 {
        let held = stacks.intern(frames);
        stacks.counters_of(held.number()).allocated(1, Weight::of(1, 0));
        stacks.release(held.number());
        held.number()
    }

    fn blocks(stacks: &Stacks) -> u64 {
        stacks.counters().map(|(_, counters)| counters.totals().allocated_blocks).sum()
    }

    #[test]
    fn there_is_always_room_for_what_is_new() {
        let stacks = table(64);
        let long_lived = stack(1, 40);
        let held = stacks.intern(&long_lived);
        for name in 2..5_000 {
            let frames = stack(name, 1 + name % 100);
            let new = stacks.intern(&frames);
            assert!(new != Held::OTHER && stacks.frames(new.number()).eq(frames.iter().copied()), "{name}");
            stacks.counters_of(new.number()).allocated(1, Weight::of(1, 0));
            stacks.release(new.number());
        }
        assert!(stacks.frames(held.number()).eq(long_lived.iter().copied()), "what lives stays");
        assert_eq!(stacks.intern(&long_lived), held);
        assert_eq!(blocks(&stacks), 4_998, "no block is lost, and none is counted twice");
        let evicted = stacks.counters_of(EVICTED).totals().allocated_blocks;
        assert!((4_900..4_998).contains(&evicted), "{evicted} of stacks that are gone");
    }

    #[test]
    fn what_is_of_use_again_stays_longer() {
        let stacks = table(64);
        let often = stack(1, 20);
        let mut numbers = vec![pass(&stacks, &often)];
        for name in 2..2_000 {
            pass(&stacks, &stack(name, 20));
            numbers.push(pass(&stacks, &often));
        }
        assert!(numbers.iter().all(|&number| number == numbers[0]), "it never lost its place");
        assert_eq!(stacks.counters_of(numbers[0]).totals().allocated_blocks, 1_999);
    }

    #[test]
    fn what_is_held_gives_no_place_away() {
        let stacks = table(8);
        let held: Vec<Held> = (1..7).map(|name| stacks.intern(&stack(name, 14))).collect();
        assert!(held.iter().all(|held| *held != Held::OTHER));
        let before = NO_ROOM.times();
        assert_eq!(stacks.intern(&stack(7, 14)), Held::OTHER);
        assert!(NO_ROOM.times() > before, "which is counted");
        stacks.release(held[3].number());
        assert_eq!(stacks.intern(&stack(7, 14)).number(), held[3].number());
        assert_eq!(stacks.hold(held[3].word()), None, "the same number, and another stack");
        assert_eq!(stacks.hold(held[4].word()), Some(held[4]));
    }

    #[test]
    fn who_was_there_in_the_parent_is_not_in_a_child() {
        let here = Present::nobody();
        here.0.store((u64::from(fork::process().get()) - 1) << 32 | 3, Ordering::Relaxed);
        assert!(!here.is_anybody());
        here.enter();
        assert!(here.is_anybody());
        here.leave();
        assert!(!here.is_anybody());
    }

    #[test]
    fn nothing_gives_its_place_away_while_somebody_reads() {
        let stacks = table(8);
        let numbers: Vec<u32> = (1..7).map(|name| pass(&stacks, &stack(name, 14))).collect();
        let reading = stacks.reading();
        assert_eq!(stacks.intern(&stack(7, 14)), Held::OTHER);
        assert!(numbers.iter().zip(1..).all(|(&number, name)| stacks.frames(number).eq(stack(name, 14))));
        drop(reading);
        assert_ne!(stacks.intern(&stack(7, 14)), Held::OTHER);
    }

    /// Three times as many stacks as there is room for, on four threads, with a reader beside.
    #[test]
    fn threads_never_take_one_stack_for_another() {
        const ROUNDS: u64 = 20_000;
        let (stacks, noted) = (table(64), [const { AtomicU64::new(0) }; 60]);
        let work = |thread: u64| {
            let mut random = thread + 1;
            for _ in 0..ROUNDS {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let name = (random >> 33) % 60;
                let frames = stack(name + 1, 20 + name);
                // As a thread does that remembers what it once took.
                let word = noted[name as usize].load(Ordering::Relaxed);
                let held = stacks.hold(word).unwrap_or_else(|| stacks.intern(&frames));
                if held != Held::OTHER {
                    assert!(
                        stacks.frames(held.number()).eq(frames.iter().copied()),
                        "another stack's frames"
                    );
                    noted[name as usize].store(held.word(), Ordering::Relaxed);
                }
                stacks.counters_of(held.number()).allocated(1, Weight::of(1, 0));
                stacks.release(held.number());
            }
        };
        thread::scope(|scope| {
            (0..4).for_each(|thread| _ = scope.spawn(move || work(thread)));
            for _ in 0..50 {
                let reading = stacks.reading();
                assert!(blocks(&stacks) <= 4 * ROUNDS);
                drop(reading);
                thread::yield_now();
            }
        });
        assert_eq!(blocks(&stacks), 4 * ROUNDS);
        let is_free = |words: &&[AtomicU64; CHUNK]| words[0].load(Ordering::Relaxed) < HOLDER;
        assert_eq!(stacks.chunks.iter().filter(is_free).count(), 64, "nobody holds anything");
    }
}

/// `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`
#[cfg(all(test, diag_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::super::weight::Weight;
    use super::*;

    fn leak<T>(len: usize, new: impl Fn(usize) -> T) -> &'static [T] {
        Box::leak((0..len).map(new).collect())
    }

    /// Room for so many stacks of a few frames.
    fn table(stacks: usize) -> Stacks {
        let chunks = stacks + RESERVED as usize;
        Stacks::of(
            leak(2, |_| AtomicU64::new(0)),
            leak(chunks, |_| std::array::from_fn(|_| AtomicU64::new(0))),
            leak(chunks, |_| AtomicU32::new(0)),
            leak(chunks, |_| HeapCounters::default()),
        )
    }

    /// Holds the stack, counts a block for it, and lets go.
    fn pass(stacks: &Stacks, frame: u64, known: Option<u64>) -> u64 {
        let held = known.and_then(|word| stacks.hold(word)).unwrap_or_else(|| stacks.intern(&[frame]));
        if held != Held::OTHER {
            assert!(stacks.frames(held.number()).eq([frame]), "another stack's frames");
        }
        stacks.counters_of(held.number()).allocated(1, Weight::of(1, 0));
        stacks.release(held.number());
        held.word()
    }

    /// One who remembers a stack beside one who takes its place: neither sees the other's, and each is counted once.
    #[test]
    fn a_remembered_stack_is_itself_or_gone() {
        loom::model(|| {
            let stacks = Arc::new(table(1));
            let word = pass(&stacks, 1, None);
            let other = {
                let stacks = Arc::clone(&stacks);
                thread::spawn(move || _ = pass(&stacks, 2, None))
            };
            pass(&stacks, 1, Some(word));
            other.join().unwrap();
            let blocks: u64 = stacks.counters.iter().map(|counters| counters.totals().allocated_blocks).sum();
            assert_eq!(blocks, 3);
            let held = stacks.chunks.iter().filter(|words| words[0].load(Ordering::Relaxed) >= HOLDER);
            assert_eq!(held.count(), 0, "nobody holds anything");
        });
    }
}
