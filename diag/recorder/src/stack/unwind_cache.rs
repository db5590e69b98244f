//! Memoized unwinds: an entry is valid while every stack word that its walk read is unchanged (`dependency_log.rs`).
//!
//! Services allocate from the same places over and over, and a walk costs ten times as much as to see that
//! nothing has changed. An entry belongs to one stack pointer; whoever finds it taken does without. What is
//! remembered of a stack is a number that the caller gives it.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::dependency_log::{Dependency, DependencyLog, LoggedMemory};
use super::stack_bounds::StackBounds;
use super::{Frames, MAX_FRAMES, Registers, unwinder, walk};
use crate::memory::{self, Zeroed};

/// A power of two; 4 KiB each, resident once used.
const ENTRIES: usize = 256;
/// Enough for all frames of a stack by frame pointers, each of which is decided by two words.
const MAX_DEPENDENCIES: usize = 251;

/// Stacks that were walked not long ago.
pub(crate) struct UnwindCache {
    entries: &'static [Entry],
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
    pub(crate) const BYTES: usize = ENTRIES * size_of::<Entry>();

    /// Nothing remembered yet; `None` if there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        Some(UnwindCache { entries: memory::zeroed(ENTRIES)? })
    }

    /// The number of the stack above `from`, the registers of a function that must not have returned yet:
    /// what `number` gave it, which is told the callers' addresses, innermost first. `None` if the stack cannot
    /// be walked now, or is too near its end for that: see [`walk::has_room`].
    ///
    /// A number that was given before counts only if `again` says that it still is this stack's.
    pub(crate) fn number(
        &self,
        from: Registers,
        number: impl Fn(&[u64]) -> u64,
        again: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        self.number_up_to(walk::NOWHERE, 0, from, number, again)
    }

    /// As [`number`](UnwindCache::number), with the frames up to the function whose stack pointer was `stop`. Stacks of
    /// the same depth that differ in `salt` do not take each other's place.
    pub(crate) fn number_up_to(
        &self,
        stop: u64,
        salt: u32,
        from: Registers,
        number: impl Fn(&[u64]) -> u64,
        again: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let stack = StackBounds::of(from.sp)?;
        let entry = self.entry(from, salt);
        // Acquire: pairs with the Release of whoever had the entry before.
        if entry.taken.swap(true, Ordering::Acquire) {
            return walk::has_room(from.sp).then(|| take(from, stack, stop, number)).flatten();
        }
        let known = entry.find(from, stack, stop).filter(|&number| again(number));
        let known = match known {
            None if walk::has_room(from.sp) => entry.take(from, stack, stop, number),
            known => known,
        };
        // Release: pairs with the Acquire of whoever takes it next.
        entry.taken.store(false, Ordering::Release);
        known
    }

    fn entry(&self, from: Registers, salt: u32) -> &Entry {
        let hash = (from.sp ^ from.ip << 32 ^ u64::from(salt) << 20).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.entries[(hash >> (u64::BITS - ENTRIES.ilog2())) as usize]
    }
}

/// Walks and remembers nothing. By itself: who does not walk has not the frames on its stack.
#[inline(never)]
fn take(from: Registers, stack: StackBounds, stop: u64, number: impl Fn(&[u64]) -> u64) -> Option<u64> {
    let mut frames: Frames = [0; MAX_FRAMES];
    let depth = walk::walk(from, stack, &mut frames, stop);
    (depth > 0).then(|| number(&frames[..depth]))
}

impl Entry {
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
            let number = self.unwinds.number(from, new, again).expect("a stack");
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
