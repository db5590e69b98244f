//! The first look: where wakers lie, and what of a task lies in blocks of its own.
//!
//! Two things lead out of the blocks that are known. Two words of a task that are the address of something and a table of
//! its functions are a boxed future, and the table says how large that is: it is looked at as a part of the task. And what
//! any other word of a task points to is looked at for a short way, in case that a waker lies there: of a oneshot channel or
//! a channel of another crate nobody knows the block.

use std::ops::Range;

use super::blocks::{Block, Blocks, Part};
use super::known_blocks::Known;
use super::targets::Targets;
use super::wakers::{Waker, Wakers};
use super::words::{Limit, Read, Stopped, each_range};
use crate::census::Cells;
use crate::number_map::NumberMap;
use crate::sys::own_memory;
use diag_snapshot::Node;

/// Boxes inside of boxes.
const MAX_DEPTH: usize = 4;
/// So far behind an address a waker is looked for.
const WINDOW_BYTES: u64 = 256;
/// No more addresses are followed, nor wakers kept.
const MAX_FOLLOWED: usize = 1 << 18;
const MAX_WAKERS: usize = 1 << 20;

/// What was found.
pub(super) struct Discovery {
    pub(super) blocks: Blocks,
    /// By ascending address.
    pub(super) wakers: Vec<Waker>,
    /// Addresses outside of the blocks that words of tasks have, and behind which a waker lies, ascending.
    pub(super) starts: Vec<u64>,
    pub(super) read: Read,
    /// Wakers and addresses that were left.
    pub(super) dropped: u64,
}

/// Words of a task that lead out of it.
#[derive(Default)]
struct Leads {
    /// What a pair of words says to be boxed: its size, and whose it is; none if two tasks have it.
    boxes: NumberMap<u64, (u64, Option<Node>)>,
    /// Everything else that can be written to.
    others: NumberMap<u64, ()>,
    dropped: u64,
}

impl Discovery {
    pub(super) fn make(
        known: &Known,
        wakers: &Wakers,
        cells: &mut Cells,
        limit: &Limit<'_>,
    ) -> Result<Self, Stopped> {
        let mut found = Discovery {
            blocks: Blocks::new(known.blocks.clone()),
            wakers: Vec::new(),
            starts: Vec::new(),
            read: Read::default(),
            dropped: 0,
        };
        found.blocks.add(thin_boxes(known, cells));
        let constants = Targets::new(cells.constant().map(|range| (range, ())).collect());
        let mut leads = Leads::default();
        let mut new: Vec<Block> = found.blocks.all().to_vec();
        for _ in 0..MAX_DEPTH {
            found.read_blocks(&new, wakers, &mut leads, &constants, cells, limit)?;
            let boxed = leads.boxes.drain().filter_map(|(start, (bytes, node))| {
                Some(Block { start, bytes, node: node?, part: Part::Boxed })
            });
            let boxed: Vec<Block> = boxed.filter(|block| found.blocks.find(block.start).is_none()).collect();
            if boxed.is_empty() {
                break;
            }
            found.blocks.add(boxed.iter().copied());
            new = boxed
                .into_iter()
                .filter(|block| {
                    found.blocks.find(block.start).is_some_and(|known| known.start == block.start)
                })
                .collect();
        }
        found.follow(&leads, wakers, limit)?;
        found.dropped += leads.dropped;
        found.wakers.sort_unstable_by_key(|waker| waker.at);
        found.wakers.dedup_by_key(|waker| waker.at);
        Ok(found)
    }

    /// The nearest address before this one that words of tasks have, and that is near enough; else this one.
    pub(super) fn start_before(&self, at: u64) -> u64 {
        let after = self.starts.partition_point(|&start| start <= at);
        let start = after.checked_sub(1).map(|place| self.starts[place]);
        start.filter(|start| at - start < WINDOW_BYTES).unwrap_or(at)
    }

    fn read_blocks(
        &mut self,
        blocks: &[Block],
        wakers: &Wakers,
        leads: &mut Leads,
        constants: &Targets<()>,
        cells: &mut Cells,
        limit: &Limit<'_>,
    ) -> Result<(), Stopped> {
        let (known, found) = (&self.blocks, &mut self.wakers);
        let dropped = &mut self.dropped;
        let ranges = blocks.iter().map(|block| (block.start, block.bytes));
        let read = each_range(ranges, limit, |place, address, words| {
            wakers.among(address, words, |waker| keep(found, waker, dropped));
            if blocks[place].is_of_task() {
                leads.add(&blocks[place], words, known, constants, cells);
            }
        })?;
        self.read.bytes += read.bytes;
        self.read.unread_bytes += read.unread_bytes;
        Ok(())
    }

    /// Looks behind the addresses that lead out of tasks.
    fn follow(&mut self, leads: &Leads, wakers: &Wakers, limit: &Limit<'_>) -> Result<(), Stopped> {
        let mut starts: Vec<u64> = leads.others.keys().copied().collect();
        starts.sort_unstable();
        let ends = starts.iter().skip(1).copied().chain([u64::MAX]);
        // Not what lies behind the next one, which is looked at as that.
        let windows: Vec<Range<u64>> = starts
            .iter()
            .zip(ends)
            .map(|(&start, next)| start..start.saturating_add(WINDOW_BYTES).min(next))
            .collect();
        let (found, dropped, known) = (&mut self.wakers, &mut self.dropped, &mut self.starts);
        let ranges = windows.iter().map(|window| (window.start, window.end - window.start));
        let blocks = &self.blocks;
        each_range(ranges, limit, |place, address, words| {
            let mut has_waker = false;
            wakers.among(address, words, |waker| {
                if blocks.find(waker.at).is_none() {
                    has_waker = true;
                    keep(found, waker, dropped);
                }
            });
            if has_waker {
                known.push(windows[place].start);
            }
        })?;
        Ok(())
    }
}

fn keep(found: &mut Vec<Waker>, waker: Waker, dropped: &mut u64) {
    if found.len() < MAX_WAKERS {
        found.push(waker);
    } else {
        *dropped += 1;
    }
}

/// The futures of tasks that were too large for the cell, of which that has only the address.
fn thin_boxes(known: &Known, cells: &Cells) -> Vec<Block> {
    let blocks = Blocks::new(known.blocks.clone());
    let boxed = known.boxed.iter().filter_map(|&(at, bytes)| {
        let node = blocks.find(at)?.node;
        let mut words = [0; 3];
        let read = own_memory::read_some(at, &mut words);
        // Behind the tag of what the cell holds, or where that needs none, at once.
        let start = *words[..read].iter().find(|&&word| word % 8 == 0 && cells.is_writable(word))?;
        Some(Block { start, bytes, node, part: Part::Boxed })
    });
    boxed.collect()
}

impl Leads {
    fn add(
        &mut self,
        block: &Block,
        words: &[u64],
        known: &Blocks,
        constants: &Targets<()>,
        cells: &mut Cells,
    ) {
        for (i, &word) in words.iter().enumerate() {
            if word % 8 != 0 || word < 4096 || !cells.is_writable(word) || known.find(word).is_some() {
                continue;
            }
            let table = words.get(i + 1).copied().filter(|&table| constants.find(table).is_some());
            if let Some(bytes) = table.and_then(|table| cells.dyn_bytes(word, table)) {
                let claim = self.boxes.entry(word).or_insert((bytes, Some(block.node)));
                if claim.1 != Some(block.node) {
                    claim.1 = None;
                }
            }
            if self.others.len() < MAX_FOLLOWED {
                self.others.insert(word, ());
            } else {
                self.dropped += 1;
            }
        }
    }
}
