//! Who keeps sampled blocks: pointers to some of each stack's, and up to three steps back from there.
//!
//! Most of what keeps a block is in no table: the buffer of a vector, the table of a map. So all memory that can be written is
//! looked at. A word that points to a sampled block lies in some block; that one begins, as a rule, where the nearest pointer
//! below it points to. A map of the standard library is pointed to from behind its entries, and beside that pointer is the
//! number of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::blocks::{Blocks, Part};
use super::roots::Roots;
use super::targets::Targets;
use super::words::{Limit, OWN_MEMORY, Stopped, each_range};
use crate::heap::{self, Sample};
use crate::memory;
use crate::sys::own_memory;

/// Blocks of a stack that are looked for, and of all stacks.
const MAX_OF_STACK: usize = 64;
const MAX_SAMPLES: usize = 1 << 13;
/// Steps back.
const MAX_STEPS: usize = 3;
/// Pointers of one step.
const MAX_LINKS: usize = 1 << 17;
/// No block is larger than this.
const MAX_BLOCK_BYTES: u64 = 1 << 30;
/// Of an entry of a map.
const MAX_ENTRY_BYTES: u64 = 256;

/// An end of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkEnd {
    /// A block, by its place among all.
    Known(usize),
    /// By its place among the roots.
    Root(usize),
    /// A block that is in no table, by where pointers to it point.
    Base(Hidden),
}

/// An address that is kept while memory is looked at, and that is not to be found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hidden(u64);

impl Hidden {
    fn new(address: u64) -> Self {
        Hidden(!address)
    }

    pub(super) fn address(self) -> u64 {
        !self.0
    }
}

/// A pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) at: Hidden,
    pub(super) word: Hidden,
    pub(super) from: LinkEnd,
    pub(super) to: LinkEnd,
    /// It was there a second time.
    pub(super) held: bool,
}

/// Where a word lies.
enum Lies {
    In(LinkEnd),
    /// In memory of which no table knows.
    Somewhere,
    /// Where nothing lives.
    Nowhere,
}

/// All of it, while it is looked for.
pub(super) struct Retainers<'a> {
    blocks: &'a Blocks,
    /// What is looked at.
    ranges: Vec<(Range<u64>, Option<usize>)>,
    slots: Range<u64>,
    pub(super) links: Vec<Link>,
    pub(super) dropped: u64,
}

impl<'a> Retainers<'a> {
    pub(super) fn new(blocks: &'a Blocks, roots: &'a Roots) -> Self {
        let own: Vec<Range<u64>> = memory::own_ranges().collect();
        let heap =
            roots.heap.iter().flat_map(|range| without(range.clone(), &own)).map(|range| (range, None));
        let roots_too = (0..).zip(&roots.ranges).map(|(place, (range, _))| (range.clone(), Some(place)));
        let ranges = heap.chain(roots_too).collect();
        Retainers { blocks, ranges, slots: heap::slots(), links: Vec::new(), dropped: 0 }
    }

    /// Looks for who keeps these samples.
    pub(super) fn find(&mut self, samples: &[(u64, Sample)], limit: &Limit<'_>) -> Result<(), Stopped> {
        let mut targets: BTreeSet<usize> =
            some(samples).into_iter().filter_map(|start| self.blocks.position(start)).collect();
        let (mut loose, mut seen): (BTreeMap<Hidden, Vec<LinkEnd>>, BTreeSet<LinkEnd>) = Default::default();
        seen.extend(targets.iter().map(|&place| LinkEnd::Known(place)));
        for step in 0..MAX_STEPS {
            let found = self.step(&targets, &loose, limit)?;
            (targets, loose) = (BTreeSet::new(), BTreeMap::new());
            for (at, word, to) in found {
                match self.lies(at) {
                    Lies::In(from) if from != to => {
                        self.links.push(Link {
                            at: Hidden::new(at),
                            word: Hidden::new(word),
                            from,
                            to,
                            held: false,
                        });
                        if let LinkEnd::Known(place) = from
                            && matches!(self.blocks.all()[place].part, Part::Sample | Part::Aligned)
                            && seen.insert(from)
                        {
                            targets.insert(place);
                        }
                    }
                    // It is told once it is known where its block begins, by a step more.
                    Lies::Somewhere if step + 1 < MAX_STEPS => {
                        loose.entry(Hidden::new(at)).or_default().push(to)
                    }
                    _ => {}
                }
            }
        }
        self.check();
        Ok(())
    }

    /// The pointers to these blocks, and to the blocks in which these words lie, as far as one finds them: the pointer's
    /// address, the pointer, and to what.
    fn step(
        &mut self,
        targets: &BTreeSet<usize>,
        loose: &BTreeMap<Hidden, Vec<LinkEnd>>,
        limit: &Limit<'_>,
    ) -> Result<Vec<(u64, u64, LinkEnd)>, Stopped> {
        let all = self.blocks.all();
        let known =
            Targets::new(targets.iter().map(|&place| (all[place].start..all[place].end(), place)).collect());
        let mut near = Near::new(loose);
        // Most words are no addresses.
        let span = hull(known.span(), near.span());
        let (mut found, mut dropped) = (Vec::with_capacity(OWN_MEMORY), 0);
        let ranges = self.ranges.iter().map(|(range, _)| (range.start, range.end - range.start));
        each_range(ranges, limit, |_, address, words| {
            for (i, &word) in words.iter().enumerate() {
                if word.wrapping_sub(span.start) >= span.end - span.start {
                    continue;
                }
                if let Some(&(_, place)) = known.find(word) {
                    if found.len() < MAX_LINKS {
                        found.push((address + 8 * i as u64, word, LinkEnd::Known(place)));
                    } else {
                        dropped += 1;
                    }
                }
                near.see(address, words, i);
            }
        })?;
        self.dropped += dropped;
        for (at, base, pointers) in near.bases() {
            let at = Hidden::new(at);
            let from = LinkEnd::Base(Hidden::new(base));
            let to = loose.get(&at).into_iter().flatten();
            let new = to.map(|&to| Link { at, word: Hidden::new(0), from, to, held: false });
            self.links.extend(new);
            found.extend(pointers.into_iter().map(|pointer| (pointer, base, from)));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn lies(&self, at: u64) -> Lies {
        if let Some(place) = self.blocks.position(at) {
            return Lies::In(LinkEnd::Known(place));
        }
        let root = self.ranges.iter().find_map(|(range, root)| root.filter(|_| range.contains(&at)));
        match root {
            Some(root) => Lies::In(LinkEnd::Root(root)),
            None if self.slots.contains(&at) => Lies::Nowhere,
            None => Lies::Somewhere,
        }
    }

    /// Looks once more at every pointer.
    fn check(&mut self) {
        let words = own_memory::words_at(self.links.iter().map(|link| link.at.address()));
        for (link, word) in self.links.iter_mut().zip(words) {
            let now = word.map_or(0, |[word]| word);
            let was = std::mem::replace(&mut link.word, Hidden::new(now)).address();
            link.held = word.is_some() && (was == 0 || was == now);
        }
    }
}

/// Some blocks of each stack, spread evenly over the order in which they came.
fn some(samples: &[(u64, Sample)]) -> Vec<u64> {
    let mut by_stack: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for (start, sample) in samples {
        by_stack.entry(sample.stack).or_default().push((sample.birth, *start));
    }
    let mut some = Vec::new();
    for blocks in by_stack.values_mut() {
        blocks.sort_unstable();
        let chosen = blocks.len().min(MAX_OF_STACK);
        some.extend((0..chosen).map(|i| blocks[i * blocks.len() / chosen].1));
    }
    some.truncate(MAX_SAMPLES);
    some
}

/// The smallest range that has both, of which each may be empty.
fn hull(one: Range<u64>, other: Range<u64>) -> Range<u64> {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other,
        (_, true) => one,
        _ => one.start.min(other.start)..one.end.max(other.end),
    }
}

/// The range without what is in these.
fn without(range: Range<u64>, others: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut left = vec![range];
    for other in others {
        left = left
            .into_iter()
            .flat_map(|range| {
                let before = range.start..range.end.min(other.start.max(range.start));
                let behind = range.start.max(other.end.min(range.end))..range.end;
                if other.start >= range.end || other.end <= range.start {
                    vec![range]
                } else {
                    vec![before, behind]
                }
            })
            .filter(|range| range.start < range.end)
            .collect();
    }
    left
}

/// A pointer near a word: where it points to, and where it lies.
#[derive(Clone, Debug, Default)]
struct Nearest {
    word: Option<Hidden>,
    at: Vec<Hidden>,
    /// Of a map: how many entries it has room for.
    entries: u64,
}

/// Pointers that one keeps of those to one address.
const MAX_AT: usize = 4;

impl Nearest {
    fn word(&self) -> u64 {
        self.word.map_or(0, Hidden::address)
    }

    fn see(&mut self, word: u64, at: u64, entries: u64, is_nearer: bool) {
        let (word, at) = (Some(Hidden::new(word)), Hidden::new(at));
        if self.word.is_none() || is_nearer {
            *self = Nearest { word, at: vec![at], entries };
        } else if self.word == word && self.at.len() < MAX_AT {
            self.at.push(at);
        }
    }
}

/// The nearest pointers to some words: below them, and of maps above.
struct Near {
    words: Vec<u64>,
    below: Vec<Nearest>,
    /// The same with a number beside that reaches as far, as a vector's length does.
    sized: Vec<Nearest>,
    above: Vec<Nearest>,
}

impl Near {
    fn new(loose: &BTreeMap<Hidden, Vec<LinkEnd>>) -> Self {
        let mut words = Vec::with_capacity(loose.len().max(OWN_MEMORY));
        // A hidden address is smaller, the larger it is.
        words.extend(loose.keys().rev().map(|at| at.address()));
        let none = vec![Nearest::default(); words.len()];
        Near { words, below: none.clone(), sized: none.clone(), above: none }
    }

    /// Words outside of these are near none.
    fn span(&self) -> Range<u64> {
        let (Some(first), Some(last)) = (self.words.first(), self.words.last()) else { return 0..0 };
        first.saturating_sub(MAX_BLOCK_BYTES)..last.saturating_add(MAX_BLOCK_BYTES)
    }

    /// Sees the word at this place of those from `address` on.
    #[inline]
    fn see(&mut self, address: u64, words: &[u64], i: usize) {
        let word = words[i];
        if self.words.is_empty() || !word.is_multiple_of(8) {
            return;
        }
        let (at, next) = (address + 8 * i as u64, self.words.partition_point(|&known| known < word));
        if let Some(below) = self.below.get_mut(next) {
            let is_nearer = word > below.word();
            below.see(word, at, 0, is_nearer);
            let distance = self.words[next] - word;
            if let Some(items) = items_beside(words, i).filter(|items| items * 8 > distance) {
                let sized = &mut self.sized[next];
                let is_nearer = word > sized.word();
                sized.see(word, at, items, is_nearer);
            }
        }
        if let Some(before) = next.checked_sub(1)
            && word.is_multiple_of(16)
            && let Some(entries) = entries_beside(words, i)
        {
            let above = &mut self.above[before];
            let is_nearer = word < above.word();
            above.see(word, at, entries, is_nearer);
        }
    }

    /// For each word where its block begins, or is pointed to, and the pointers there.
    fn bases(self) -> Vec<(u64, u64, Vec<u64>)> {
        let mut below: Vec<Option<&Nearest>> = Vec::new();
        for (&at, nearest) in self.words.iter().zip(&self.below) {
            let own = Some(nearest).filter(|nearest| !nearest.at.is_empty());
            let before = below.last().copied().flatten();
            below.push(own.or(before).filter(|nearest| at - nearest.word() <= MAX_BLOCK_BYTES));
        }
        let mut sized: Vec<Option<&Nearest>> = Vec::new();
        for (&at, nearest) in self.words.iter().zip(&self.sized) {
            let own = Some(nearest).filter(|nearest| nearest.word.is_some());
            let before = sized.last().copied().flatten();
            let is_in = |nearest: &&Nearest| at - nearest.word() < nearest.entries * 8;
            sized.push(own.filter(is_in).or(before.filter(is_in)));
        }
        // What is known to reach so far comes before what is only nearer.
        let below = below.into_iter().zip(sized).map(|(below, sized)| sized.or(below));
        let mut above: Vec<Option<&Nearest>> = Vec::new();
        for (&at, nearest) in self.words.iter().zip(&self.above).rev() {
            let own = Some(nearest).filter(|nearest| !nearest.at.is_empty());
            let behind = above.last().copied().flatten();
            let is_in =
                |nearest: &&Nearest| nearest.word() - at <= nearest.entries.saturating_mul(MAX_ENTRY_BYTES);
            above.push(own.or(behind).filter(is_in));
        }
        above.reverse();
        let known = self.words.iter().zip(below).zip(above);
        let base = known.filter_map(|((&at, below), above)| {
            // Not what lies before the map.
            let base = match (above, below) {
                (Some(above), Some(below))
                    if at - below.word() <= above.word() - at && below.word() + 16 > at =>
                {
                    below
                }
                (Some(above), _) => above,
                (None, below) => below?,
            };
            Some((at, base.word(), base.at.iter().map(|at| at.address()).collect()))
        });
        base.collect()
    }
}

/// The number beside a pointer that may be the length of a vector, or its capacity.
fn items_beside(words: &[u64], i: usize) -> Option<u64> {
    let beside = [i.checked_sub(1), Some(i + 1)].into_iter().flatten().filter_map(|at| words.get(at));
    beside.filter(|items| (1..1 << 32).contains(*items)).max().copied()
}

/// The number of entries that a map has room for, if the pointer at this place is one of a map: the mask is beside it.
fn entries_beside(words: &[u64], i: usize) -> Option<u64> {
    let beside = [i.checked_sub(1), Some(i + 1)].into_iter().flatten().filter_map(|at| words.get(at));
    let mut masks = beside.filter(|&&mask| (3..1 << 32).contains(&mask) && (mask + 1).is_power_of_two());
    masks.next().map(|mask| mask + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut() {
        assert_eq!(without(10..90, &[0..5, 20..30, 85..100]), [10..20, 30..85]);
        assert!(without(10..20, &[0..50, 60..70]).is_empty());
    }

    #[test]
    fn the_block_of_a_word_begins_at_the_nearest_pointer_or_is_a_map_before_one() {
        let loose =
            [1024, 1040, 4096].map(|at| (Hidden::new(at), vec![LinkEnd::Root(0)])).into_iter().collect();
        let mut near = Near::new(&loose);
        // A vector at 1016; a map whose table ends at 4176, with eight entries.
        let words = [512, 1016, 0, 1016, 7, 4176, 5];
        (0..words.len()).for_each(|i| near.see(64, &words, i));
        let vector = vec![64 + 8, 64 + 24];
        assert_eq!(
            near.bases(),
            [(1024, 1016, vector.clone()), (1040, 1016, vector), (4096, 4176, vec![64 + 40])]
        );
    }
}
