//! The second look and the third: who points to what is waited for, to channels and sockets, and to tasks.

use std::ops::Range;

use super::blocks::{Blocks, Part};
use super::roots::Roots;
use super::targets::Targets;
use super::words::{Limit, Read, Stopped, each_range};

/// What a pointer may be found to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The start of a task's cell: the task's id.
    Cell(u64),
    /// The record of a task, which word is it.
    Record,
    /// A block, by its place among all.
    Block(usize),
    /// What is known by pointers alone, by its place among the anchors.
    Anchor(usize),
    /// A word of a static with something that is waited in.
    Static(u64),
}

/// What has a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// By its place among all blocks.
    Block(usize),
    /// By its place among the roots.
    Root(usize),
}

/// A pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointer {
    pub(super) source: Source,
    /// Where it lies.
    pub(super) at: u64,
    pub(super) word: u64,
    pub(super) target: Target,
    /// It was there in both looks.
    pub(super) held: bool,
}

/// 48 bytes each.
const MAX_POINTERS: usize = 1 << 20;

/// All pointers to these.
pub(super) struct Pointers {
    pub(super) all: Vec<Pointer>,
    pub(super) read: Read,
    pub(super) dropped: u64,
}

impl Pointers {
    /// Looks twice.
    pub(super) fn find(
        blocks: &Blocks,
        roots: &Roots,
        targets: Vec<(Range<u64>, Target)>,
        limit: &Limit<'_>,
    ) -> Result<Self, Stopped> {
        let targets = Targets::new(targets);
        let mut first = Pointers::pass(blocks, roots, &targets, limit)?;
        let second = Pointers::pass(blocks, roots, &targets, limit)?;
        // Both are in the order of sources and addresses.
        let mut again = second.all.iter().peekable();
        for pointer in &mut first.all {
            let key = |pointer: &Pointer| (pointer.source.order(), pointer.at);
            while again.next_if(|other| key(other) < key(pointer)).is_some() {}
            pointer.held =
                again.peek().is_some_and(|other| key(other) == key(pointer) && other.word == pointer.word);
        }
        Ok(first)
    }

    fn pass(
        blocks: &Blocks,
        roots: &Roots,
        targets: &Targets<Target>,
        limit: &Limit<'_>,
    ) -> Result<Self, Stopped> {
        let (mut all, mut dropped) = (Vec::new(), 0);
        let mut see = |source: Source, address: u64, words: &[u64], skip: Range<u64>| {
            for (at, &word) in (address..).step_by(8).zip(words) {
                let Some(&(_, target)) = targets.find(word) else { continue };
                if skip.contains(&at) {
                    continue;
                }
                if all.len() < MAX_POINTERS {
                    all.push(Pointer { source, at, word, target, held: false });
                } else {
                    dropped += 1;
                }
            }
        };
        let ranges = blocks.all().iter().map(|block| (block.start, block.bytes));
        let of_blocks = each_range(ranges, limit, |place, address, words| {
            let block = &blocks.all()[place];
            let skip = match block.part {
                // Where tasks are listed by their runtime.
                Part::Cell { trailer } => block.start + trailer..block.end(),
                // Much of it is padding, which holds what the memory held before.
                Part::Channel | Part::Socket => block.start..block.end(),
                _ => 0..0,
            };
            see(Source::Block(place), address, words, skip);
        })?;
        let ranges = roots.ranges.iter().map(|(range, _)| (range.start, range.end - range.start));
        let of_roots = each_range(ranges, limit, |place, address, words| {
            see(Source::Root(place), address, words, 0..0);
        })?;
        let read = Read {
            bytes: of_blocks.bytes + of_roots.bytes,
            unread_bytes: of_blocks.unread_bytes + of_roots.unread_bytes,
        };
        Ok(Pointers { all, read, dropped })
    }
}

impl Source {
    fn order(self) -> (u8, usize) {
        match self {
            Source::Block(place) => (0, place),
            Source::Root(place) => (1, place),
        }
    }
}
