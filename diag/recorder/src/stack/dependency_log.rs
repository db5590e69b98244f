//! The words that a walk depends on, logged, so that the next one from the same place can be spared.
//!
//! A walk is decided by its registers, the unwind tables and the words that it reads. Return addresses
//! always count. The frame pointer only counts where a frame is found by it: elsewhere that register holds
//! whatever the code keeps in it, which is another number each time. So a word that it was restored from
//! is logged when a frame turns out to lie where it points to, and not before.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::Registers;

/// Memory that a walk reads.
pub(super) trait Memory {
    /// The word at `address`; `None` where nothing may be read.
    fn read(&mut self, address: u64) -> Option<u64>;

    /// The walk went from a function to its caller. Only the stack and frame pointers are set.
    fn went(&mut self, _from: Registers, _to: Registers) {}
}

impl<M: Memory> Memory for &mut M {
    fn read(&mut self, address: u64) -> Option<u64> {
        M::read(self, address)
    }

    fn went(&mut self, from: Registers, to: Registers) {
        M::went(self, from, to);
    }
}

/// A word that decides a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) address: u64,
    pub(super) word: u64,
}

/// Where dependencies are kept.
pub(super) trait DependencyLog {
    /// Keeps a dependency; false if there is no room.
    fn add(&mut self, dependency: Dependency) -> bool;
}

/// Memory whose reader is looked over the shoulder.
pub(super) struct LoggedMemory<M, N> {
    memory: M,
    log: N,
    /// What was read since the last frame.
    fresh: [Option<Dependency>; MAX_FRESH],
    frame_pointer: FramePointer,
    by_first_pointer: bool,
    complete: bool,
}

/// What the log is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogSummary {
    /// True if the frame pointer that the walk began with counts, too.
    pub(super) by_first_pointer: bool,
    /// False if not all could be logged: then the log is good for nothing.
    pub(super) complete: bool,
}

/// Where the frame pointer's value is from.
#[derive(Clone, Copy)]
enum FramePointer {
    First,
    Restored(Dependency),
    Logged,
}

/// A frame's return address and the frame pointer saved in it; more is unusual.
const MAX_FRESH: usize = 2;
/// A frame that is found by its frame pointer lies closer to it than this.
const NEAR: u64 = 64 << 10;

impl<M: Memory, N: DependencyLog> LoggedMemory<M, N> {
    pub(super) fn new(memory: M, log: N) -> Self {
        let fresh = [None; MAX_FRESH];
        LoggedMemory {
            memory,
            log,
            fresh,
            frame_pointer: FramePointer::First,
            by_first_pointer: false,
            complete: true,
        }
    }

    /// The walk has ended.
    pub(super) fn finish(mut self) -> LogSummary {
        // Read and not followed: the walk may have ended for what it found there.
        if self.fresh.iter().any(Option::is_some) {
            self.log_frame_pointer();
            self.log_fresh(|_| true);
        }
        LogSummary { by_first_pointer: self.by_first_pointer, complete: self.complete }
    }

    fn log(&mut self, dependency: Dependency) {
        self.complete &= self.log.add(dependency);
    }

    fn log_fresh(&mut self, counts: impl Fn(&Dependency) -> bool) {
        for dependency in std::mem::take(&mut self.fresh).into_iter().flatten().filter(counts) {
            self.log(dependency);
        }
    }

    fn log_frame_pointer(&mut self) {
        match std::mem::replace(&mut self.frame_pointer, FramePointer::Logged) {
            FramePointer::First => self.by_first_pointer = true,
            FramePointer::Restored(dependency) => self.log(dependency),
            FramePointer::Logged => {}
        }
    }
}

impl<M: Memory, N: DependencyLog> Memory for LoggedMemory<M, N> {
    fn read(&mut self, address: u64) -> Option<u64> {
        let word = self.memory.read(address);
        match (word, self.fresh.iter_mut().find(|fresh| fresh.is_none())) {
            (Some(word), Some(fresh)) => *fresh = Some(Dependency { address, word }),
            (Some(_), None) => self.complete = false,
            // Where it would have read may follow from the frame pointer.
            (None, _) => self.log_frame_pointer(),
        }
        word
    }

    fn went(&mut self, from: Registers, to: Registers) {
        if to.sp.abs_diff(from.fp) < NEAR {
            self.log_frame_pointer();
        }
        let is_return_address = |dependency: &Dependency| dependency.address == to.sp.wrapping_sub(8);
        let saved = self.fresh.iter().flatten().find(|dependency| !is_return_address(dependency)).copied();
        self.log_fresh(is_return_address);
        match saved {
            Some(dependency) if dependency.word == to.fp => {
                self.frame_pointer = FramePointer::Restored(dependency)
            }
            // Some other register, or an expression: not worth a concept.
            Some(_) => self.complete = false,
            None => self.complete &= from.fp == to.fp,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "tests may allocate")]
mod tests {
    use super::*;

    /// A stack whose word at `8 n` is the n-th.
    struct Words<'a>(&'a [u64]);

    impl Memory for Words<'_> {
        fn read(&mut self, address: u64) -> Option<u64> {
            self.0.get(address as usize / 8).copied()
        }
    }

    #[derive(Default)]
    struct Book(Vec<u64>);

    impl DependencyLog for &mut Book {
        fn add(&mut self, dependency: Dependency) -> bool {
            self.0.push(dependency.address);
            true
        }
    }

    const FAR: u64 = 1 << 40;

    fn at(sp: u64, fp: u64) -> Registers {
        Registers { ip: 0, sp, fp }
    }

    /// A walk that `steps` takes over these words logs these addresses.
    fn check(
        words: &[u64],
        steps: impl Fn(&mut LoggedMemory<Words<'_>, &mut Book>),
        addresses: &[u64],
        by_first_pointer: bool,
        complete: bool,
    ) {
        let mut book = Book::default();
        let mut memory = LoggedMemory::new(Words(words), &mut book);
        steps(&mut memory);
        assert_eq!(memory.finish(), LogSummary { by_first_pointer, complete });
        if complete {
            assert_eq!(book.0, addresses);
        }
    }

    #[test]
    fn without_frame_pointers_only_return_addresses_count() {
        // The first frame saves the register, which holds just a number, and the second too.
        let words = [7, 0xA, FAR, 0xB];
        let steps = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            memory.read(0);
            memory.read(8);
            memory.went(at(0, FAR), at(16, 7));
            memory.read(16);
            memory.read(24);
            memory.went(at(16, FAR), at(32, FAR));
        };
        check(&words, steps, &[8, 24], false, true);
    }

    #[test]
    fn a_frame_found_by_the_pointer_makes_its_word_count() {
        // The second frame lies where the saved word of the first points to.
        let words = [16, 0xA, FAR, 0xB];
        let steps = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            memory.read(8);
            memory.read(0);
            memory.went(at(0, FAR), at(16, 16));
            memory.read(16);
            memory.read(24);
            memory.went(at(16, 16), at(32, FAR));
        };
        check(&words, steps, &[8, 0, 24], false, true);
    }

    #[test]
    fn the_first_pointer_counts_if_a_frame_is_found_by_it() {
        let steps = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            memory.read(0);
            memory.read(8);
            memory.went(at(0, 0), at(16, 7));
        };
        check(&[7, 0xA], steps, &[8], true, true);
    }

    #[test]
    fn where_a_walk_breaks_off_counts() {
        let unread = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            memory.read(FAR);
        };
        check(&[], unread, &[], true, true);
        let unfollowed = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            memory.read(0);
        };
        check(&[7], unfollowed, &[0], true, true);
    }

    #[test]
    fn what_is_unusual_is_not_noted() {
        let three = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            for address in [0, 8, 16] {
                memory.read(address);
            }
        };
        check(&[1, 2, 3], three, &[], true, false);
        let other_register = |memory: &mut LoggedMemory<Words<'_>, &mut Book>| {
            memory.read(0);
            memory.read(8);
            memory.went(at(0, FAR), at(16, FAR));
        };
        check(&[7, 0xA], other_register, &[], false, false);
    }
}
