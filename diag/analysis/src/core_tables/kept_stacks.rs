//! The stacks that the sampler keeps, for its samples and for the census.

use super::layout::{Layout, Table};
use super::memory::Memory;

/// Numbers that are no stack's.
pub(super) const RESERVED: u32 = 2;
/// Stacks that are followed at the most: twice as many as there is room for.
const MOST: usize = 1 << 21;
/// Words of a chunk before its frames.
const HEAD: usize = 2;
/// Frames of a stack at the most.
const LEN: u64 = (1 << 8) - 1;

/// The stacks that the sampler keeps.
pub(super) struct KeptStacks<'m> {
    memory: &'m Memory<'m>,
    chunks: Table,
    places: Table,
}

impl<'m> KeptStacks<'m> {
    pub(super) fn new(memory: &'m Memory<'m>, layout: &Layout) -> Self {
        KeptStacks { memory, chunks: layout.table("stacks"), places: layout.table("stack_places") }
    }

    /// Those of no stack, and then of all that are kept; one may be there twice.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        let places = self.places.records(self.memory).filter_map(|(_, place)| place.first_chunk::<4>());
        let kept = places.map(|number| u32::from_le_bytes(*number)).filter(|&number| number != 0);
        (0..RESERVED).chain(kept).take(MOST)
    }

    /// What tells the stack of this number from all that had it before.
    pub(super) fn word(&self, number: u32) -> Option<u64> {
        let generation = self.chunk(number)?[1] >> 32;
        Some(generation << 32 | u64::from(number))
    }

    /// The return addresses of a stack, innermost first; of what is no stack its number.
    pub(super) fn frames(&self, number: u32) -> Vec<u64> {
        if number < RESERVED {
            return vec![number.into()];
        }
        let mut frames = Vec::new();
        let (mut next, mut left) = (number, 1);
        while left > 0 {
            let Some(words) = self.chunk(next) else { break };
            if frames.is_empty() {
                left = (words[0] & LEN) as usize;
            }
            let len = left.min(words.len() - HEAD);
            frames.extend_from_slice(&words[HEAD..HEAD + len]);
            (left, next) = (left - len, words[1] as u32);
            if next == 0 || len == 0 {
                break;
            }
        }
        frames
    }

    fn chunk(&self, number: u32) -> Option<Vec<u64>> {
        let bytes = self.chunks.nth(self.memory, number.into())?;
        let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        (words.len() > HEAD).then_some(words)
    }
}
