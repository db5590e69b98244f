//! Address ranges that pointers are looked for into, so that a word that is none is told by a few instructions.

use std::ops::Range;

/// Pages are told apart by so many bits.
const FILTER_BITS: u32 = 16;
const PAGE_BITS: u32 = 12;

/// Ranges, each with what the caller knows it by.
pub(super) struct Targets<T> {
    ranges: Vec<(Range<u64>, T)>,
    span: Range<u64>,
    /// A bit is set if a page of this hash has a part of a range.
    pages: Vec<u64>,
}

impl<T> Targets<T> {
    /// Of ranges that overlap, the last to begin may hide the others.
    pub(super) fn new(mut ranges: Vec<(Range<u64>, T)>) -> Self {
        ranges.retain(|(range, _)| range.start < range.end);
        ranges.sort_by_key(|(range, _)| range.start);
        let start = ranges.first().map_or(0, |(range, _)| range.start);
        let end = ranges.iter().map(|(range, _)| range.end).max().unwrap_or_default();
        let mut pages = vec![0; (1 << FILTER_BITS) / 64];
        for (range, _) in &ranges {
            let (first, last) = (range.start >> PAGE_BITS, (range.end - 1) >> PAGE_BITS);
            // A range of more pages than there are bits has all of them.
            for page in first..=last.min(first.saturating_add(1 << FILTER_BITS)) {
                let bit = hash(page);
                pages[bit / 64] |= 1 << (bit % 64);
            }
        }
        Targets { ranges, span: start..end, pages }
    }

    /// The range that this word points into.
    #[inline]
    pub(super) fn find(&self, word: u64) -> Option<&(Range<u64>, T)> {
        if word.wrapping_sub(self.span.start) >= self.span.end - self.span.start {
            return None;
        }
        let bit = hash(word >> PAGE_BITS);
        if self.pages[bit / 64] >> (bit % 64) & 1 == 0 {
            return None;
        }
        let after = self.ranges.partition_point(|(range, _)| range.start <= word);
        self.ranges.get(after.checked_sub(1)?).filter(|(range, _)| range.contains(&word))
    }
}

#[inline]
fn hash(page: u64) -> usize {
    (page.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - FILTER_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_in_its_range_and_in_no_other() {
        let targets = Targets::new(vec![(0x7000..0x7010, 'a'), (0x5000..0x9_0000_0000, 'b'), (64..64, 'c')]);
        let found = |word| targets.find(word).map(|(_, it)| *it);
        assert_eq!(
            [0, 64, 0x4FFF, 0x5000, 0x7000, 0x700F].map(found),
            [None, None, None, Some('b'), Some('a'), Some('a')]
        );
        assert_eq!(found(u64::MAX), None);
        let none: Targets<char> = Targets::new(Vec::new());
        assert!([0, 1, u64::MAX].iter().all(|&word| none.find(word).is_none()));
    }
}
