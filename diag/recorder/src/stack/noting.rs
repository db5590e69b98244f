//! Notes on what a walk depends on, so that the next one from the same place can be spared.
//!
//! A walk is decided by its registers, the unwind tables and the words that it reads. Return addresses
//! always count. The frame pointer only counts where a frame is found by it: elsewhere that register holds
//! whatever the code keeps in it, which is another number each time. So a word that it was restored from
//! is noted when a frame turns out to lie where it points to, and not before.
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
pub(super) struct Note {
    pub(super) address: u64,
    pub(super) word: u64,
}

/// Where notes are kept.
pub(super) trait Notebook {
    /// Keeps a note; false if there is no room.
    fn add(&mut self, note: Note) -> bool;
}

/// Memory whose reader is looked over the shoulder.
pub(super) struct Noting<M, N> {
    memory: M,
    notes: N,
    /// What was read since the last frame.
    fresh: [Option<Note>; MAX_FRESH],
    frame_pointer: FramePointer,
    by_first_pointer: bool,
    complete: bool,
}

/// What the notes are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    /// True if the frame pointer that the walk began with counts, too.
    pub(super) by_first_pointer: bool,
    /// False if not all could be noted: then they are good for nothing.
    pub(super) complete: bool,
}

/// Where the frame pointer's value is from.
#[derive(Clone, Copy)]
enum FramePointer {
    First,
    Restored(Note),
    Noted,
}

/// A frame's return address and the frame pointer saved in it; more is unusual.
const MAX_FRESH: usize = 2;
/// A frame that is found by its frame pointer lies closer to it than this.
const NEAR: u64 = 64 << 10;

impl<M: Memory, N: Notebook> Noting<M, N> {
    pub(super) fn new(memory: M, notes: N) -> Self {
        let fresh = [None; MAX_FRESH];
        Noting {
            memory,
            notes,
            fresh,
            frame_pointer: FramePointer::First,
            by_first_pointer: false,
            complete: true,
        }
    }

    /// The walk has ended.
    pub(super) fn finish(mut self) -> Noted {
        // Read and not followed: the walk may have ended for what it found there.
        if self.fresh.iter().any(Option::is_some) {
            self.note_frame_pointer();
            self.note_fresh(|_| true);
        }
        Noted { by_first_pointer: self.by_first_pointer, complete: self.complete }
    }

    fn note(&mut self, note: Note) {
        self.complete &= self.notes.add(note);
    }

    fn note_fresh(&mut self, counts: impl Fn(&Note) -> bool) {
        for note in std::mem::take(&mut self.fresh).into_iter().flatten().filter(counts) {
            self.note(note);
        }
    }

    fn note_frame_pointer(&mut self) {
        match std::mem::replace(&mut self.frame_pointer, FramePointer::Noted) {
            FramePointer::First => self.by_first_pointer = true,
            FramePointer::Restored(note) => self.note(note),
            FramePointer::Noted => {}
        }
    }
}

impl<M: Memory, N: Notebook> Memory for Noting<M, N> {
    fn read(&mut self, address: u64) -> Option<u64> {
        let word = self.memory.read(address);
        match (word, self.fresh.iter_mut().find(|fresh| fresh.is_none())) {
            (Some(word), Some(fresh)) => *fresh = Some(Note { address, word }),
            (Some(_), None) => self.complete = false,
            // Where it would have read may follow from the frame pointer.
            (None, _) => self.note_frame_pointer(),
        }
        word
    }

    fn went(&mut self, from: Registers, to: Registers) {
        if to.sp.abs_diff(from.fp) < NEAR {
            self.note_frame_pointer();
        }
        let is_return_address = |note: &Note| note.address == to.sp.wrapping_sub(8);
        let saved = self.fresh.iter().flatten().find(|note| !is_return_address(note)).copied();
        self.note_fresh(is_return_address);
        match saved {
            Some(note) if note.word == to.fp => self.frame_pointer = FramePointer::Restored(note),
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

    impl Notebook for &mut Book {
        fn add(&mut self, note: Note) -> bool {
            self.0.push(note.address);
            true
        }
    }

    const FAR: u64 = 1 << 40;

    fn at(sp: u64, fp: u64) -> Registers {
        Registers { ip: 0, sp, fp }
    }

    /// A walk that `steps` takes over these words notes these addresses.
    fn check(
        words: &[u64],
        steps: impl Fn(&mut Noting<Words<'_>, &mut Book>),
        addresses: &[u64],
        by_first_pointer: bool,
        complete: bool,
    ) {
        let mut book = Book::default();
        let mut noting = Noting::new(Words(words), &mut book);
        steps(&mut noting);
        assert_eq!(noting.finish(), Noted { by_first_pointer, complete });
        if complete {
            assert_eq!(book.0, addresses);
        }
    }

    #[test]
    fn without_frame_pointers_only_return_addresses_count() {
        // The first frame saves the register, which holds just a number, and the second too.
        let words = [7, 0xA, FAR, 0xB];
        let steps = |noting: &mut Noting<Words<'_>, &mut Book>| {
            noting.read(0);
            noting.read(8);
            noting.went(at(0, FAR), at(16, 7));
            noting.read(16);
            noting.read(24);
            noting.went(at(16, FAR), at(32, FAR));
        };
        check(&words, steps, &[8, 24], false, true);
    }

    #[test]
    fn a_frame_found_by_the_pointer_makes_its_word_count() {
        // The second frame lies where the saved word of the first points to.
        let words = [16, 0xA, FAR, 0xB];
        let steps = |noting: &mut Noting<Words<'_>, &mut Book>| {
            noting.read(8);
            noting.read(0);
            noting.went(at(0, FAR), at(16, 16));
            noting.read(16);
            noting.read(24);
            noting.went(at(16, 16), at(32, FAR));
        };
        check(&words, steps, &[8, 0, 24], false, true);
    }

    #[test]
    fn the_first_pointer_counts_if_a_frame_is_found_by_it() {
        let steps = |noting: &mut Noting<Words<'_>, &mut Book>| {
            noting.read(0);
            noting.read(8);
            noting.went(at(0, 0), at(16, 7));
        };
        check(&[7, 0xA], steps, &[8], true, true);
    }

    #[test]
    fn where_a_walk_breaks_off_counts() {
        let unread = |noting: &mut Noting<Words<'_>, &mut Book>| {
            noting.read(FAR);
        };
        check(&[], unread, &[], true, true);
        let unfollowed = |noting: &mut Noting<Words<'_>, &mut Book>| {
            noting.read(0);
        };
        check(&[7], unfollowed, &[0], true, true);
    }

    #[test]
    fn what_is_unusual_is_not_noted() {
        let three = |noting: &mut Noting<Words<'_>, &mut Book>| {
            for address in [0, 8, 16] {
                noting.read(address);
            }
        };
        check(&[1, 2, 3], three, &[], true, false);
        let other_register = |noting: &mut Noting<Words<'_>, &mut Book>| {
            noting.read(0);
            noting.read(8);
            noting.went(at(0, FAR), at(16, FAR));
        };
        check(&[7, 0xA], other_register, &[], false, false);
    }
}
