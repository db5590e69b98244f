//! From a block's address to its entry: segments that double, of lines of eight keys.
//!
//! A key lies in the line of its hash, in any of the segments. It is entered in the newest one that has room there, and
//! searched from the newest downwards; only when no line of its hash has room does another segment begin, with twice as
//! many lines. So what a few blocks take is a few pages, what many take is found in their first line mostly, and
//! nothing is ever moved. A word holds address and entry at once:
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | `address / 128 << 24 \| entry` | the block at `address` has this entry |
//! | `HELD` | its block is being moved; the mover will put a key back or free the word |
//!
//! Everything is Relaxed: a key is entered, looked for and removed only by the owner of the block, and handing a block
//! to another thread orders those. Only *free words* are contended, by exchange.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::Growing;
use super::entries::EntryId;
#[cfg(not(all(test, diag_loom)))]
use crate::memory::Zeroed;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Keys of a line, and lines of the first segment as a power of two.
const KEYS: usize = if cfg!(all(test, diag_loom)) { 2 } else { 8 };
const FIRST_BITS: u32 = if cfg!(all(test, diag_loom)) { 0 } else { 7 };
/// The last has 2^18 lines, and all together have four million keys: as many as there are entries.
const SEGMENTS: u32 = if cfg!(all(test, diag_loom)) { 2 } else { 12 };

/// Blocks are aligned to so much, and to no less.
const ALIGN_BITS: u32 = 7;
/// What the kernel gives to a process that does not ask for more.
const ADDRESS_BITS: u32 = 47;
const ENTRY_BITS: u32 = 24;
const ENTRY_MASK: u64 = (1 << ENTRY_BITS) - 1;
/// The key of an address that no block can have.
const HELD: u64 = u64::MAX;

const _: () = assert!(ADDRESS_BITS - ALIGN_BITS + ENTRY_BITS <= u64::BITS);

/// The addresses of all blocks.
pub(super) struct Addresses {
    /// Segment by segment.
    lines: Growing<Line>,
    /// Segments that can be used.
    segments: AtomicU32,
}

#[repr(align(64))]
struct Line([AtomicU64; KEYS]);

#[cfg(not(all(test, diag_loom)))]
// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Line {}

impl Addresses {
    #[cfg(not(all(test, diag_loom)))]
    pub(super) const fn new() -> Self {
        Addresses { lines: Growing::new(FIRST_BITS, FIRST_BITS + SEGMENTS, 64), segments: AtomicU32::new(0) }
    }

    #[cfg(all(test, diag_loom))]
    pub(super) fn new() -> Self {
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Addresses { lines: Growing::of(3, line), segments: AtomicU32::new(0) }
    }

    /// Enters a block; false if there is no room, or its address cannot be packed.
    pub(super) fn insert(&self, address: usize, entry: EntryId) -> bool {
        if !address.is_multiple_of(1 << ALIGN_BITS) || address >> ADDRESS_BITS != 0 {
            return false;
        }
        let key = key_of(address);
        let word = key << ENTRY_BITS | u64::from(entry.0);
        let enter =
            |place: &AtomicU64| place.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let mut full = 0;
        loop {
            // Acquire: pairs with the Release of `grow`: the lines are there.
            let segments = self.segments.load(Ordering::Acquire);
            // The newest first. Those that were full a moment ago are not asked again.
            if (full..segments).rev().any(|segment| self.line(segment, key).any(enter)) {
                return true;
            }
            if !self.grow(segments) {
                return false;
            }
            full = segments;
        }
    }

    /// The entry of a block.
    #[inline]
    pub(super) fn find(&self, address: usize) -> Option<Place<'_>> {
        let key = key_of(address);
        // Relaxed: the owner has the block from a thread that found its segment counted.
        let segments = self.segments.load(Ordering::Relaxed);
        // A free word and `HELD` have no block's key.
        let is_it = |place: &&AtomicU64| place.load(Ordering::Relaxed) >> ENTRY_BITS == key;
        let word = (0..segments).rev().find_map(|segment| self.line(segment, key).find(is_it))?;
        Some(Place { word })
    }

    /// Begins another segment than the first so many; false if there is none.
    #[cold]
    fn grow(&self, segments: u32) -> bool {
        let last = first_of(segments + 1) - 1;
        let grown = segments < SEGMENTS && self.lines.reach(last).is_some();
        if grown {
            // Release: pairs with the Acquire of `insert`.
            self.segments.fetch_max(segments + 1, Ordering::AcqRel);
        }
        grown
    }

    /// The words of a segment in which this key may be.
    fn line(&self, segment: u32, key: u64) -> impl Iterator<Item = &AtomicU64> {
        let bits = FIRST_BITS + segment;
        // Other bits in each segment: what meets in one parts in the next.
        let hash = hash(key).rotate_left(5 * segment);
        let at = first_of(segment) + (hash >> (u64::BITS - 1 - bits) >> 1) as usize;
        self.lines.get(at).into_iter().flat_map(|line| &line.0)
    }
}

/// The first line of a segment.
fn first_of(segment: u32) -> usize {
    ((1 << segment) - 1) << FIRST_BITS
}

fn key_of(address: usize) -> u64 {
    address as u64 >> ALIGN_BITS
}

/// Addresses are multiples of few numbers: all bits count, in all bits.
fn hash(key: u64) -> u64 {
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Where a block is entered, for its owner.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    word: &'a AtomicU64,
}

impl Place<'_> {
    #[inline]
    pub(super) fn entry(self) -> EntryId {
        EntryId((self.word.load(Ordering::Relaxed) & ENTRY_MASK) as u32)
    }

    /// Takes the block out.
    #[inline]
    pub(super) fn remove(self) {
        self.word.store(0, Ordering::Relaxed);
    }

    /// Takes the key out for a while, but not from its place: see [`put_back`](Place::put_back). Else the place is
    /// [removed](Place::remove).
    pub(super) fn hold(self) {
        self.word.store(HELD, Ordering::Relaxed);
    }

    /// The block is still where it was.
    pub(super) fn put_back(self, address: usize, entry: EntryId) {
        self.word.store(key_of(address) << ENTRY_BITS | u64::from(entry.0), Ordering::Relaxed);
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
    use super::*;

    /// Addresses as malloc gives them to blocks of one size.
    fn address(n: usize) -> usize {
        0x7F00_0000_0000 + n * 384
    }

    #[test]
    fn each_address_has_its_entry() {
        let addresses = Addresses::new();
        assert!(addresses.find(address(0)).is_none());
        (0..100_000).for_each(|n| assert!(addresses.insert(address(n), EntryId(n as u32)), "{n}"));
        (0..100_000).step_by(2).for_each(|n| addresses.find(address(n)).expect("it is there").remove());
        for n in 0..100_000 {
            let found = addresses.find(address(n)).map(|place| place.entry().0 as usize);
            assert_eq!(found, (n % 2 == 1).then_some(n));
        }
    }

    #[test]
    fn what_does_not_fit_a_word_is_refused() {
        let addresses = Addresses::new();
        assert!(!addresses.insert(64, EntryId(1)) && !addresses.insert(1 << 47, EntryId(1)));
        assert!(addresses.insert((1 << 47) - 128, EntryId(ENTRY_MASK as u32)), "the last of all");
        assert_eq!(addresses.find((1 << 47) - 128).map(|place| place.entry().0), Some(ENTRY_MASK as u32));
    }

    #[test]
    fn memory_is_a_few_bytes_an_address_and_does_not_grow_with_time() {
        let addresses = Addresses::new();
        let bytes = |addresses: &Addresses| addresses.lines.len() * size_of::<Line>();
        for live in [100, 10_000, 1_000_000] {
            (0..live).for_each(|n| assert!(addresses.insert(address(n), EntryId(n as u32))));
            assert!(bytes(&addresses) <= (live * 40).max(64 << 10), "{live}: {} bytes", bytes(&addresses));
            (0..live).for_each(|n| addresses.find(address(n)).expect("it is there").remove());
        }
        let addresses = Addresses::new();
        for n in 0..2_000_000 {
            assert!(addresses.insert(address(n), EntryId(7)));
            if let Some(old) = n.checked_sub(500) {
                addresses.find(address(old)).expect("it is there").remove();
            }
        }
        assert!(bytes(&addresses) <= 64 << 10, "500 at a time: {} bytes", bytes(&addresses));
    }

    #[test]
    fn a_place_that_is_held_is_nobodys() {
        let addresses = Addresses::new();
        assert!(addresses.insert(4096, EntryId(3)));
        let place = addresses.find(4096).expect("it is there");
        place.hold();
        assert!(addresses.find(4096).is_none());
        place.put_back(4096, EntryId(3));
        assert_eq!(addresses.find(4096).map(|place| place.entry().0), Some(3));
    }
}

/// `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`
#[cfg(all(test, diag_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn pass(addresses: &Addresses, numbers: [u32; 2]) {
        let address = |number: u32| number as usize * 128;
        let entered = numbers.map(|number| addresses.insert(address(number), EntryId(number)));
        for (number, entered) in numbers.into_iter().zip(entered) {
            let found = addresses.find(address(number));
            assert_eq!(found.map(|place| place.entry().0), entered.then_some(number), "its own, or none");
            found.into_iter().for_each(Place::remove);
        }
        assert!(numbers.iter().all(|&number| addresses.find(address(number)).is_none()));
    }

    /// Two threads that enter and take out, while there is room for two in the first segment, and others begin.
    #[test]
    fn each_finds_its_own() {
        let mut models = loom::model::Builder::new();
        // All interleavings of so many steps are too many.
        models.preemption_bound = Some(2);
        models.check(|| {
            let addresses = Arc::new(Addresses::new());
            let other = {
                let addresses = Arc::clone(&addresses);
                thread::spawn(move || pass(&addresses, [3, 4]))
            };
            pass(&addresses, [1, 2]);
            other.join().unwrap();
        });
    }
}
