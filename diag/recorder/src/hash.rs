//! A hash of words: of the call stacks that are kept once.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

/// Multiply and fold, one step a word; the finish spreads the last one over all bits.
pub(crate) fn of_words(words: impl Iterator<Item = u64>) -> u64 {
    let mixed = words.fold(0xCBF2_9CE4_8422_2325_u64, |hash, word| {
        (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    });
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ mixed >> 29
}
