//! A hold on a stack.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::OTHER;

/// A stack that is held: its number, and which of all that ever had this number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::heap) struct Held(u64);

impl Held {
    pub(super) const OTHER: Held = Held(OTHER as u64);

    pub(super) fn new(number: u32, generation: u64) -> Self {
        Held(generation << 32 | u64::from(number))
    }

    pub(in crate::heap) fn number(self) -> u32 {
        self.0 as u32
    }

    /// To be remembered by whoever does not hold it; see [`Stacks::hold`](super::Stacks::hold).
    pub(in crate::heap) fn word(self) -> u64 {
        self.0
    }

    /// The number in such a word.
    pub(in crate::heap) fn number_of(word: u64) -> u32 {
        word as u32
    }
}
