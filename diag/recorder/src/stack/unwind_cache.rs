//! Memoized unwinds: an entry is valid while every stack word that its walk read is unchanged (`dependency_log.rs`).
//!
//! Services allocate from the same places over and over, and a walk costs ten times as much as to see that
//! nothing has changed. An entry belongs to one stack pointer; whoever finds it taken does without. What is
//! remembered of a stack is a number that the caller gives it.
//!
//! Many places may share a stack pointer: all that a task's poll calls from one depth, on each worker. So an entry is
//! one of the ways of a set, and of these the ones are looked at that are of this stack pointer. One at a time gives
//! way to what is new, not in their order: of nine places in turn, eight are not lost for one.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::dependency_log::{Dependency, DependencyLog, LoggedMemory};
use super::stack_bounds::StackBounds;
use super::{Frames, MAX_FRAMES, Registers, unwinder, walk};
use crate::hash;
use crate::memory::{self, Zeroed};

/// A power of two.
const SETS: usize = 32;
const WAYS: usize = 8;
/// 4 KiB each, resident once used.
const ENTRIES: usize = SETS * WAYS;
/// Enough for all frames of a stack by frame pointers, each of which is decided by two words. Entries do not begin a
/// page apart: the ways of a set would share the same few lines of the processor's first cache.
const MAX_DEPENDENCIES: usize = 255;
const _: () = assert!(size_of::<Entry>() == 4096 + 64);

/// Stacks that were walked not long ago.
pub(crate) struct UnwindCache {
    sets: &'static [Set],
    /// Those of a set are neighbours.
    entries: &'static [Entry],
}

/// Which entries may be of a stack pointer, in one line: only a hint, as the entries say it themselves.
#[repr(align(64))]
struct Set {
    /// 0: nothing was remembered there yet.
    keys: [AtomicU64; WAYS],
    /// How many have given way.
    turns: AtomicU32,
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Set {}

/// Where a walk ends, and what else tells its stack from others.
struct Until {
    stop: u64,
    salt: u32,
}

/// One stack. The fields belong to whoever has set `taken`.
#[repr(align(64))]
struct Entry {
    taken: AtomicBool,
    /// 0: nothing is remembered.
    len: AtomicU32,
    number: AtomicU64,
    /// The register counts only if a frame was found by it.
    by_first_pointer: AtomicBool,
    ip: AtomicU64,
    sp: AtomicU64,
    fp: AtomicU64,
    /// Where the readable stack ended.
    top: AtomicU64,
    /// Where the walk was to end.
    stop: AtomicU64,
    /// Which unwind tables were in force.
    tables: AtomicU64,
    dependencies: [(AtomicU64, AtomicU64); MAX_DEPENDENCIES],
}

// SAFETY: atomics only, each of which is valid as zero.
unsafe impl Zeroed for Entry {}

impl UnwindCache {
    /// Address space that it takes.
    pub(crate) const BYTES: usize = SETS * size_of::<Set>() + ENTRIES * size_of::<Entry>();

    /// Nothing remembered yet; `None` if there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        Some(UnwindCache { sets: memory::zeroed(SETS)?, entries: memory::zeroed(ENTRIES)? })
    }

    /// The number of the stack above `from`, the registers of a function that must not have returned yet:
    /// what `number` gave it, which is told the callers' addresses, innermost first. `None` if the stack cannot
    /// be walked now, or is too near its end for that: see [`walk::has_room`].
    ///
    /// A number that was given before counts only if `again` says that it still is this stack's. One that is not known
    /// is walked only if `may_walk`.
    pub(crate) fn number(
        &self,
        from: Registers,
        may_walk: impl Fn() -> bool,
        number: impl Fn(&[u64]) -> u64,
        again: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        self.find_or_take(Until { stop: walk::NOWHERE, salt: 0 }, from, may_walk, number, again)
    }

    /// As [`number`](UnwindCache::number), with the frames up to the function whose stack pointer was `stop`. Of stacks
    /// of the same depth that differ in `salt`, only those of this one are looked at.
    pub(crate) fn number_up_to(
        &self,
        stop: u64,
        salt: u32,
        from: Registers,
        number: impl Fn(&[u64]) -> u64,
        again: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        self.find_or_take(Until { stop, salt }, from, || true, number, again)
    }

    #[inline]
    fn find_or_take(
        &self,
        Until { stop, salt }: Until,
        from: Registers,
        may_walk: impl Fn() -> bool,
        number: impl Fn(&[u64]) -> u64,
        again: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let stack = StackBounds::of(from.sp)?;
        let may_walk = || walk::has_room(from.sp) && may_walk();
        let key = key(from, salt);
        let (set, entries) = self.set(key);
        for entry in set.of(key, entries).filter_map(Entry::hold) {
            match entry.find(from, stack, stop) {
                Some(known) if again(known) => return Some(known),
                Some(_) => {
                    return may_walk().then(|| entry.take(from, stack, stop, number)).flatten();
                }
                None => {}
            }
        }
        if !may_walk() {
            return None;
        }
        match set.give_way(key, entries) {
            Some(entry) => entry.take(from, stack, stop, number),
            None => take(from, stack, stop, number),
        }
    }

    fn set(&self, key: u64) -> (&Set, &[Entry]) {
        let at = (key >> (u64::BITS - SETS.ilog2())) as usize;
        (&self.sets[at], &self.entries[at * WAYS..][..WAYS])
    }
}

/// The same for the same place of a stack; never 0.
fn key(from: Registers, salt: u32) -> u64 {
    (from.sp ^ from.ip << 32 ^ u64::from(salt) << 20).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
}

impl Set {
    /// The entries that may be of this key.
    fn of<'a>(&self, key: u64, entries: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
        let is_it = move |(known, _): &(&AtomicU64, _)| known.load(Ordering::Relaxed) == key;
        self.keys.iter().zip(entries).filter(is_it).map(|(_, entry)| entry)
    }

    /// An entry that is of this key from now on, unless somebody has it.
    fn give_way<'a>(&self, key: u64, entries: &'a [Entry]) -> Option<Held<'a>> {
        let is_free = |known: &AtomicU64| known.load(Ordering::Relaxed) == 0;
        let way = self.keys.iter().position(is_free).unwrap_or_else(|| self.turn());
        let entry = entries[way].hold()?;
        self.keys[way].store(key, Ordering::Relaxed);
        Some(entry)
    }

    /// As if thrown by dice: no order in which stacks come makes it always the one that comes next.
    fn turn(&self) -> usize {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        hash::of_words(std::iter::once(turn.into())) as usize % WAYS
    }
}

/// Walks and remembers nothing. By itself: who does not walk has not the frames on its stack.
#[inline(never)]
fn take(from: Registers, stack: StackBounds, stop: u64, number: impl Fn(&[u64]) -> u64) -> Option<u64> {
    let mut frames: Frames = [0; MAX_FRAMES];
    let depth = walk::walk(from, stack, &mut frames, stop);
    (depth > 0).then(|| number(&frames[..depth]))
}

/// An entry that is the caller's until this is dropped.
struct Held<'a>(&'a Entry);

impl Deref for Held<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.0
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of whoever takes it next.
        self.0.taken.store(false, Ordering::Release);
    }
}

impl Entry {
    /// The entry, unless somebody has it.
    fn hold(&self) -> Option<Held<'_>> {
        // Acquire: pairs with the Release of whoever had the entry before.
        (!self.taken.swap(true, Ordering::Acquire)).then_some(Held(self))
    }

    /// The number, if the stack is the remembered one.
    fn find(&self, from: Registers, stack: StackBounds, stop: u64) -> Option<u64> {
        let len = self.len.load(Ordering::Relaxed) as usize;
        let is = |field: &AtomicU64, value| field.load(Ordering::Relaxed) == value;
        let same = len > 0
            && is(&self.sp, from.sp)
            && is(&self.ip, from.ip)
            && is(&self.top, stack.high())
            && is(&self.stop, stop)
            && is(&self.tables, unwinder::generation())
            && (is(&self.fp, from.fp) || !self.by_first_pointer.load(Ordering::Relaxed))
            && self.dependencies[..len].iter().all(|(address, word)| {
                stack.read(address.load(Ordering::Relaxed)) == Some(word.load(Ordering::Relaxed))
            });
        same.then(|| self.number.load(Ordering::Relaxed))
    }

    /// Walks, and remembers it in the place of what was there. By itself, as above.
    #[inline(never)]
    fn take(
        &self,
        from: Registers,
        stack: StackBounds,
        stop: u64,
        number: impl Fn(&[u64]) -> u64,
    ) -> Option<u64> {
        self.len.store(0, Ordering::Relaxed);
        let tables = unwinder::generation();
        let mut frames: Frames = [0; MAX_FRAMES];
        let mut len = 0;
        let mut memory = LoggedMemory::new(stack, EntryLog { entry: self, len: &mut len });
        let depth = walk::walk(from, &mut memory, &mut frames, stop);
        let summary = memory.finish();
        if depth == 0 {
            return None;
        }
        let number = number(&frames[..depth]);
        if summary.complete {
            self.number.store(number, Ordering::Relaxed);
            self.by_first_pointer.store(summary.by_first_pointer, Ordering::Relaxed);
            let fields = [&self.ip, &self.sp, &self.fp, &self.top, &self.stop, &self.tables];
            let values = [from.ip, from.sp, from.fp, stack.high(), stop, tables];
            for (field, value) in fields.into_iter().zip(values) {
                field.store(value, Ordering::Relaxed);
            }
            self.len.store(len as u32, Ordering::Relaxed);
        }
        Some(number)
    }
}

/// The log of an entry that is being filled in.
struct EntryLog<'a> {
    entry: &'a Entry,
    len: &'a mut usize,
}

impl DependencyLog for EntryLog<'_> {
    fn add(&mut self, dependency: Dependency) -> bool {
        let Some((address, word)) = self.entry.dependencies.get(*self.len) else { return false };
        address.store(dependency.address, Ordering::Relaxed);
        word.store(dependency.word, Ordering::Relaxed);
        *self.len += 1;
        true
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests may allocate")]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::hint::black_box;

    use super::*;
    use crate::stack::registers;

    /// Numbers stacks as the heap does, and counts how often it was asked to.
    #[derive(Default)]
    struct Numbers {
        known: RefCell<Vec<Vec<u64>>>,
        asked: Cell<usize>,
        gone: RefCell<Vec<u64>>,
    }

    impl Numbers {
        fn number(&self, frames: &[u64]) -> u64 {
            self.asked.set(self.asked.get() + 1);
            let mut known = self.known.borrow_mut();
            let place = known.iter().position(|known| known == frames).unwrap_or(known.len());
            if place == known.len() {
                known.push(frames.to_vec());
            }
            place as u64
        }
    }

    struct Test {
        unwinds: UnwindCache,
        numbers: Numbers,
    }

    impl Test {
        /// What is remembered of this stack is what a walk finds.
        #[inline(never)]
        fn check(&self) {
            let from = registers();
            let new = |frames: &[u64]| self.numbers.number(frames);
            let again = |number| !self.numbers.gone.borrow().contains(&number);
            let number = self.unwinds.number(from, || true, new, again).expect("a stack");
            let mut frames: Frames = [0; MAX_FRAMES];
            let depth = walk::capture_until(from, &mut frames, walk::NOWHERE);
            assert_eq!(self.numbers.known.borrow()[number as usize], frames[..depth]);
        }
    }

    /// Two callers with frames of the same size, so that the stack pointers below are the same.
    #[inline(never)]
    fn one(test: &Test, rest: &[u8]) {
        black_box(call)(test, rest);
        black_box(());
    }

    #[inline(never)]
    fn other(test: &Test, rest: &[u8]) {
        black_box(call)(test, rest);
        black_box(());
        black_box(());
    }

    #[inline(never)]
    fn call(test: &Test, path: &[u8]) {
        match path {
            [] => test.check(),
            [step, rest @ ..] => black_box(if step & 1 == 0 { one } else { other })(test, rest),
        }
        black_box(());
    }

    fn test() -> Test {
        crate::stack::prepare();
        Test { unwinds: UnwindCache::new().expect("memory"), numbers: Numbers::default() }
    }

    #[test]
    fn a_stack_is_known_again() {
        let test = test();
        for _ in 0..100 {
            black_box(call)(&test, &[0, 1, 0, 0, 1]);
        }
        assert!(test.numbers.asked.get() < 5, "walked {} times", test.numbers.asked.get());
    }

    #[test]
    fn as_many_stacks_of_one_stack_pointer_are_known_as_there_are_ways() {
        let test = test();
        let all = |rounds: usize, places: u8| {
            let before = test.numbers.asked.get();
            for path in (0..rounds).flat_map(|_| 0..places) {
                black_box(call)(&test, &[path >> 3, path >> 2, path >> 1, path]);
            }
            test.numbers.asked.get() - before
        };
        assert_eq!(all(50, 8), 8, "each was walked once");
        let walks = all(50, 9);
        assert!(walks < 50 * 9 / 2, "of nine, most are still known: {walks} walks");
    }

    #[test]
    fn a_number_that_is_gone_is_not_given_again() {
        let test = test();
        for round in 0..20 {
            black_box(call)(&test, &[0, 1, 0, 0, 1]);
            if round == 10 {
                test.numbers.gone.borrow_mut().push(0);
                test.numbers.known.borrow_mut()[0].clear();
            }
        }
        assert_eq!(test.numbers.known.borrow().len(), 2, "it has another number now");
    }

    /// Paths of one length lie at the same addresses and differ only in what is on the stack.
    #[test]
    fn one_stack_is_never_taken_for_another() {
        let test = test();
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let path = (random >> 32).to_le_bytes();
            black_box(call)(&test, &path[..(random >> 20) as usize % 8]);
        }
        let (different, asked) = (test.numbers.known.borrow().len(), test.numbers.asked.get());
        assert!(different > 50 && asked > different, "{different} stacks, walked {asked} times");
    }
}
