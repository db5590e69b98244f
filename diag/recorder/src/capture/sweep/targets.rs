//! Address ranges that pointers are looked for into, so that a word that is none is told by a few instructions.

use std::ops::Range;

use super::words::OWN_MEMORY;

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

impl<T: Copy> Targets<T> {
    /// Where ranges overlap, the last to begin is found.
    pub(super) fn new(mut ranges: Vec<(Range<u64>, T)>) -> Self {
        ranges.retain(|(range, _)| range.start < range.end);
        ranges.sort_by_key(|(range, _)| range.start);
        let ranges = disjoint(ranges);
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

    /// No range has an address outside of these.
    pub(super) fn span(&self) -> Range<u64> {
        self.span.clone()
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

/// Without overlaps, of ranges in the order of their starts.
fn disjoint<T: Copy>(ranges: Vec<(Range<u64>, T)>) -> Vec<(Range<u64>, T)> {
    /// What of a range is still free once it is left, from where the ranges so far end.
    fn close<T>(from: &mut u64, (end, what): (u64, T), found: &mut Vec<(Range<u64>, T)>) {
        if *from < end {
            found.push((*from..end, what));
            *from = end;
        }
    }
    let room = ranges.len().max(OWN_MEMORY);
    let (mut found, mut open, mut from) = (Vec::with_capacity(room), Vec::new(), 0);
    for (range, what) in ranges {
        while let Some(top) = open.pop_if(|(end, _)| *end <= range.start) {
            close(&mut from, top, &mut found);
        }
        if let Some(&(_, around)) = open.last() {
            close(&mut from, (range.start, around), &mut found);
        }
        from = range.start;
        open.push((range.end, what));
    }
    while let Some(top) = open.pop() {
        close(&mut from, top, &mut found);
    }
    found
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
        assert_eq!(
            [0x7010, 0x8_FFFF_FFFF, 0x9_0000_0000, u64::MAX].map(found),
            [Some('b'), Some('b'), None, None]
        );
        let nested = Targets::new(vec![(10..90, 'a'), (20..30, 'b'), (25..50, 'c'), (50..51, 'd')]);
        let found: String = (0..10).map(|i| nested.find(5 + 10 * i).map_or('-', |(_, it)| *it)).collect();
        assert_eq!(found, "-acccaaaa-");
        let none: Targets<char> = Targets::new(Vec::new());
        assert!([0, 1, u64::MAX].iter().all(|&word| none.find(word).is_none()));
    }
}
