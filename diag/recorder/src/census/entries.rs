//! Where entries live, and which are free: chunks of 63, each in the hands of one thread or of none.
//!
//! A chunk has a word with a bit for each free entry and one that says that a thread has the chunk in its hand. A
//! thread takes entries of the chunk in its hand, and whoever frees one sets its bit again, so threads that keep to
//! themselves share no line. The hand only says who tries first: what makes an entry somebody's is the bit.
//!
//! | who | does | why nothing is lost |
//! |---|---|---|
//! | take | clears a bit (Acquire), and has the entry if it was set | of two, one clears it |
//! | give | sets the bit (Release); over a word of 0 it tells the summary | the chunk was full and in no hand; whoever has it in hand sees the bit itself, and so does who lets go of it |
//! | adopt | takes a chunk out of the summary, then sets `IN_HAND` | who gives meanwhile finds a word of 0 and tells the summary again, or not 0: then the adopter sees the bit |
//! | let go | clears `IN_HAND`, and tells the summary if bits are left | who gives after that finds 0, or bits that were told |
//!
//! So the summary may tell of a chunk without a free entry (a search in vain), and never misses one for good. There are
//! a few hands, which threads share by their number: nothing has to be handed back when a thread ends, and a forked
//! child lacks at most what its parent's other threads were about to use.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::Growing;
use super::entry::Entry;
#[cfg(not(all(test, diag_loom)))]
use crate::core_layout::Table;
#[cfg(not(all(test, diag_loom)))]
use crate::memory::Zeroed;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bits of an entry's number that say which of its chunk it is. The first of a chunk is none, for the sake of `IN_HAND`.
const CHUNK_BITS: u32 = if cfg!(all(test, diag_loom)) { 1 } else { 6 };
const CHUNK: usize = 1 << CHUNK_BITS;
/// Chunks at the most: four million entries, 256 MiB.
const MOST_BITS: u32 = if cfg!(all(test, diag_loom)) { 1 } else { 16 };
const MOST: usize = 1 << MOST_BITS;
/// Threads beyond share.
const HANDS: usize = if cfg!(all(test, diag_loom)) { 2 } else { 64 };

const IN_HAND: u64 = 1;
const ALL_FREE: u64 = if CHUNK == 64 { !IN_HAND } else { (1 << CHUNK) - 1 - IN_HAND };

/// An entry's number: its chunk, and which of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(pub(super) u32);

impl EntryId {
    fn of(chunk: usize, bit: u32) -> Self {
        EntryId((chunk as u32) << CHUNK_BITS | bit)
    }

    fn chunk(self) -> usize {
        (self.0 >> CHUNK_BITS) as usize
    }

    fn bit(self) -> u32 {
        self.0 % CHUNK as u32
    }
}

/// All entries.
pub(super) struct Entries {
    entries: Growing<Entry>,
    /// By chunk.
    free: Growing<Free>,
    /// One bit a chunk: set if it may have free entries and is in no hand.
    summary: [AtomicU64; MOST.div_ceil(64)],
    hands: [Hand; HANDS],
    /// Chunks that were ever in a hand.
    used: AtomicU32,
}

/// Which entries of a chunk are free, and `IN_HAND`. A line of its own.
#[repr(align(64))]
struct Free(AtomicU64);

/// The number of the chunk after the one in this hand; 0 for none. A line of its own.
#[repr(align(64))]
struct Hand(AtomicU32);

#[cfg(not(all(test, diag_loom)))]
// SAFETY: an atomic, which is valid as zero.
unsafe impl Zeroed for Free {}

impl Entries {
    #[cfg(not(all(test, diag_loom)))]
    pub(super) const fn new() -> Self {
        Entries {
            // 64 KiB at once.
            entries: Growing::new(4 + CHUNK_BITS, MOST_BITS + CHUNK_BITS, 16 * CHUNK),
            free: Growing::new(6, MOST_BITS, 64),
            summary: [const { AtomicU64::new(0) }; MOST.div_ceil(64)],
            hands: [const { Hand(AtomicU32::new(0)) }; HANDS],
            used: AtomicU32::new(0),
        }
    }

    #[cfg(all(test, diag_loom))]
    pub(super) fn new() -> Self {
        Entries {
            entries: Growing::of(MOST * CHUNK, Entry::default),
            free: Growing::of(MOST, || Free(AtomicU64::new(0))),
            summary: [AtomicU64::new(0)],
            hands: std::array::from_fn(|_| Hand(AtomicU32::new(0))),
            used: AtomicU32::new(0),
        }
    }

    /// What a reader of cores is told of the ranges that they lie in.
    #[cfg(not(all(test, diag_loom)))]
    pub(super) const fn core_table(&'static self) -> Table {
        self.entries.core_table("census_ranges")
    }

    /// An entry that is the caller's until given back; `None` without room.
    #[inline]
    pub(super) fn take(&self, thread: u32) -> Option<EntryId> {
        let hand = &self.hands[thread as usize % HANDS].0;
        let held = hand.load(Ordering::Relaxed);
        let chunk = (held as usize).checked_sub(1);
        chunk.and_then(|chunk| self.take_of(chunk)).or_else(|| self.take_of_another(hand, held))
    }

    /// Gives an entry back, on whichever thread.
    #[inline]
    pub(super) fn give(&self, id: EntryId) {
        let Some(free) = self.free.get(id.chunk()) else { return };
        // Release: pairs with the Acquire of `take_of`.
        if free.0.fetch_or(1 << id.bit(), Ordering::Release) == 0 {
            self.tell(id.chunk());
        }
    }

    /// An entry that was taken.
    #[inline]
    pub(super) fn get(&self, id: EntryId) -> Option<&'static Entry> {
        self.entries.get(id.0 as usize)
    }

    /// All that were ever taken, and some that were not.
    pub(super) fn all(&self) -> impl Iterator<Item = (EntryId, &'static Entry)> {
        // Acquire: pairs with the Release of `begin`.
        let used = self.used.load(Ordering::Acquire) as usize;
        let numbers = (0..used).flat_map(|chunk| (1..CHUNK as u32).map(move |bit| EntryId::of(chunk, bit)));
        numbers.filter_map(|id| Some((id, self.get(id)?)))
    }

    /// How many are taken, about: others take and give meanwhile.
    pub(super) fn taken(&self) -> usize {
        let used = self.used.load(Ordering::Acquire) as usize;
        let free = |chunk| self.free.get(chunk).map(|free| free.0.load(Ordering::Relaxed) & ALL_FREE);
        (0..used).filter_map(free).map(|free: u64| CHUNK - 1 - free.count_ones() as usize).sum()
    }

    fn take_of(&self, chunk: usize) -> Option<EntryId> {
        let free = &self.free.get(chunk)?.0;
        let mut seen = free.load(Ordering::Relaxed);
        loop {
            let bit = (seen & !IN_HAND).trailing_zeros();
            if bit == u64::BITS {
                return None;
            }
            // Acquire: pairs with the Release of `give`.
            let before = free.fetch_and(!(1 << bit), Ordering::Acquire);
            if before & 1 << bit != 0 {
                return Some(EntryId::of(chunk, bit));
            }
            seen = before;
        }
    }

    /// The chunk in the hand has no free entry: another one comes into it.
    #[cold]
    fn take_of_another(&self, hand: &AtomicU32, held: u32) -> Option<EntryId> {
        let Some(id) = self.adopt().or_else(|| self.begin()) else { return self.take_of_any_hand() };
        let new = id.chunk() as u32 + 1;
        let out = match hand.compare_exchange(held, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(before) => before,
            // Another thread of this hand has done so as well.
            Err(_) => new,
        };
        if let Some(chunk) = (out as usize).checked_sub(1) {
            self.let_go(chunk);
        }
        Some(id)
    }

    /// There is no other chunk: whatever is left in the hands, which threads may have that are at rest or have ended.
    fn take_of_any_hand(&self) -> Option<EntryId> {
        let chunk = |hand: &Hand| (hand.0.load(Ordering::Relaxed) as usize).checked_sub(1);
        self.hands.iter().filter_map(chunk).find_map(|chunk| self.take_of(chunk))
    }

    /// An entry of a chunk that was in no hand, and is in the caller's now.
    fn adopt(&self) -> Option<EntryId> {
        let words = (self.used.load(Ordering::Relaxed) as usize).div_ceil(64);
        for (at, word) in self.summary[..words].iter().enumerate() {
            loop {
                let bits = word.load(Ordering::Relaxed);
                if bits == 0 {
                    break;
                }
                let bit = bits.trailing_zeros();
                // AcqRel: before `IN_HAND` is set, so that a giver in between tells it anew; pairs with `tell`.
                word.fetch_and(!(1 << bit), Ordering::AcqRel);
                if let Some(id) = self.adopt_chunk(at * 64 + bit as usize) {
                    return Some(id);
                }
            }
        }
        None
    }

    fn adopt_chunk(&self, chunk: usize) -> Option<EntryId> {
        let free = &self.free.get(chunk)?.0;
        // Acquire: pairs with the Release of `give`.
        if free.fetch_or(IN_HAND, Ordering::Acquire) & IN_HAND != 0 {
            return None;
        }
        let id = self.take_of(chunk);
        if id.is_none() {
            self.let_go(chunk);
        }
        id
    }

    fn let_go(&self, chunk: usize) {
        let Some(free) = self.free.get(chunk) else { return };
        // Release: what was given meanwhile is told with it.
        if free.0.fetch_and(!IN_HAND, Ordering::AcqRel) & !IN_HAND != 0 {
            self.tell(chunk);
        }
    }

    /// The summary has the chunk.
    fn tell(&self, chunk: usize) {
        // Release: pairs with `adopt`, which finds the bits.
        self.summary[chunk / 64].fetch_or(1 << (chunk % 64), Ordering::Release);
    }

    /// An entry of a chunk that nobody has had, in the caller's hand.
    fn begin(&self) -> Option<EntryId> {
        loop {
            let used = self.used.load(Ordering::Relaxed);
            let chunk = used as usize;
            if chunk == MOST {
                return None;
            }
            // Before it is counted: what the system refuses may be had later.
            self.entries.reach(EntryId::of(chunk, CHUNK as u32 - 1).0 as usize)?;
            let free = &self.free.reach(chunk)?.0;
            // Release: pairs with the Acquire of `all`: the entries can be read.
            if self.used.compare_exchange(used, used + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                let first = 1;
                // Release: pairs with the Acquire of `take_of`.
                free.fetch_or((ALL_FREE & !(1 << first)) | IN_HAND, Ordering::Release);
                return Some(EntryId::of(chunk, first));
            }
        }
    }
}

#[cfg(all(test, not(diag_loom)))]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests may allocate")]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    static ENTRIES: Entries = Entries::new();

    #[test]
    fn threads_take_of_chunks_of_their_own_and_all_that_is_given_is_taken_again() {
        const THREADS: u32 = 4;
        const EACH: usize = 10_000;
        let take = |thread: u32| (0..EACH).map(|_| ENTRIES.take(thread).expect("room")).collect::<Vec<_>>();
        let mut used = 0;
        for round in 0..3 {
            let taken: Vec<Vec<EntryId>> = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || take(thread))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let all: HashSet<u32> = taken.iter().flatten().map(|id| id.0).collect();
            assert_eq!(all.len(), THREADS as usize * EACH, "each in one hand");
            let chunks = |ids: &[EntryId]| ids.iter().map(|id| id.chunk()).collect::<HashSet<_>>();
            if round == 0 {
                let sum: usize = taken.iter().map(|ids| chunks(ids).len()).sum();
                assert_eq!(chunks(&taken.concat()).len(), sum, "no chunk in two hands");
            }
            // By other threads than took them.
            thread::scope(|scope| {
                taken.iter().for_each(|ids| _ = scope.spawn(|| ids.iter().for_each(|id| ENTRIES.give(*id))));
            });
            let now = ENTRIES.used.load(Ordering::Relaxed);
            assert!(round == 0 || now <= used + THREADS, "{used} chunks were enough, and now it is {now}");
            used = now;
        }
    }

    #[test]
    fn a_thread_that_takes_and_gives_stays_in_its_chunk() {
        let entries: &Entries = Box::leak(Box::new(Entries::new()));
        let first = entries.take(70).expect("room");
        for _ in 0..1_000 {
            let id = entries.take(70).expect("room");
            assert_eq!(id.chunk(), first.chunk());
            entries.give(id);
        }
        assert_ne!(entries.take(71).expect("room").chunk(), first.chunk(), "another hand");
        assert_eq!(entries.take(70 + HANDS as u32).expect("room").chunk(), first.chunk(), "the same one");
    }

    #[test]
    fn without_room_there_is_none_and_then_there_is_again() {
        let entries: &Entries = Box::leak(Box::new(Entries::new()));
        entries.used.store(MOST as u32 - 1, Ordering::Relaxed);
        let taken: Vec<EntryId> = std::iter::from_fn(|| entries.take(0)).collect();
        assert_eq!(taken.len(), CHUNK - 1);
        entries.give(taken[9]);
        assert_eq!(entries.take(1), Some(taken[9]), "from the hand of another");
        assert_eq!(entries.take(0), None);
    }
}

/// `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`
#[cfg(all(test, diag_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    struct Shared {
        entries: Entries,
        /// 1 while an entry is somebody's.
        taken: [AtomicU32; MOST * CHUNK],
    }

    impl Shared {
        fn take(&self, thread: u32) -> Option<EntryId> {
            let id = self.entries.take(thread)?;
            assert_eq!(self.taken[id.0 as usize].swap(1, Ordering::Relaxed), 0, "it is another's");
            Some(id)
        }

        fn give(&self, id: EntryId) {
            self.taken[id.0 as usize].store(0, Ordering::Relaxed);
            self.entries.give(id);
        }

        fn take_all(&self, thread: u32) -> usize {
            std::iter::from_fn(|| self.take(thread)).count()
        }
    }

    fn shared() -> Arc<Shared> {
        let taken = std::array::from_fn(|_| AtomicU32::new(0));
        Arc::new(Shared { entries: Entries::new(), taken })
    }

    /// Runs both, and then all entries can be had.
    fn both(threads: [u32; 2], one: fn(&Shared, u32), other: fn(&Shared, u32)) {
        let mut models = loom::model::Builder::new();
        // All interleavings of so many steps are too many.
        models.preemption_bound = Some(3);
        models.check(move || {
            let shared = shared();
            let beside = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || other(&shared, threads[1]))
            };
            one(&shared, threads[0]);
            beside.join().unwrap();
            assert_eq!(shared.take_all(0), MOST * (CHUNK - 1), "none is lost");
        });
    }

    fn take_and_give(shared: &Shared, thread: u32) {
        shared.take(thread).into_iter().for_each(|id| shared.give(id));
    }

    /// More than a chunk has.
    fn take_many_and_give(shared: &Shared, thread: u32) {
        let taken: [Option<EntryId>; CHUNK] = std::array::from_fn(|_| shared.take(thread));
        taken.into_iter().flatten().for_each(|id| shared.give(id));
    }

    #[test]
    fn of_two_hands_none_is_lost() {
        both([0, 1], take_many_and_give, take_and_give);
    }

    #[test]
    fn in_one_hand_none_is_lost() {
        both([0, 0], take_many_and_give, take_and_give);
    }

    /// One thread gives what another has taken, who lets go of the chunk meanwhile.
    #[test]
    fn what_another_thread_gives_is_found() {
        loom::model(|| {
            let shared = shared();
            let taken: [EntryId; CHUNK - 1] = std::array::from_fn(|_| shared.take(0).unwrap());
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || taken.into_iter().for_each(|id| shared.give(id)))
            };
            // The chunk in the hand is empty, or has some by now.
            let more = shared.take(0);
            other.join().unwrap();
            more.into_iter().for_each(|id| shared.give(id));
            assert_eq!(shared.take_all(0), MOST * (CHUNK - 1));
        });
    }
}
