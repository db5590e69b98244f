//! Who waits where, before it is known who points there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use diag_snapshot::WaitFor;

use super::blocks::{Block, Part};
use super::discovery::Discovery;
use super::known_blocks::Known;
use super::pointers::{Pointers, Target};
use super::queue_layout::Layouts;
use super::queues::{Queue, Queued};
use super::roots::Roots;
use super::wakers::{Waker, Wakers};
use super::words::{Limit, Stopped};
use crate::sys::own_memory;

/// So far before what is known of a block its start is looked for.
pub(super) const MAX_BEFORE: u64 = 1024;
/// And so far around what a static has.
const AROUND_STATIC: u64 = 64;

/// Where a waker lies, or the queue that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// By its place among all blocks.
    Block(usize),
    /// By its place among the anchors.
    Anchor(usize),
    /// The word of a static.
    Static(u64),
}

pub(super) struct Wait {
    pub(super) waker: Waker,
    pub(super) home: Home,
    /// Of the queue, or of the waker.
    pub(super) at: u64,
    pub(super) wait_for: WaitFor,
    pub(super) queued: Option<Queued>,
    pub(super) permits: Option<u64>,
}

/// Who waits where, before it is known who points there.
pub(super) struct Graph<'a> {
    pub(super) known: &'a Known,
    pub(super) found: &'a Discovery,
    pub(super) roots: &'a Roots,
    pub(super) wakers: &'a Wakers,
    pub(super) waits: Vec<Wait>,
    /// What is known of blocks that are in no table, in the order of their addresses; no two overlap.
    pub(super) anchors: Vec<Range<u64>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(
        known: &'a Known,
        found: &'a Discovery,
        queues: Vec<Queue>,
        roots: &'a Roots,
        wakers: &'a Wakers,
        layouts: &Layouts,
    ) -> Self {
        let in_queues: BTreeSet<u64> =
            queues.iter().flat_map(|queue| &queue.queued).map(|queued| queued.waker.at).collect();
        let mut graph = Graph { known, found, roots, wakers, waits: Vec::new(), anchors: Vec::new() };
        let is_alone = |waker: &&Waker| !in_queues.contains(&waker.at);
        let mut alone: Vec<Waker> = found.wakers.iter().filter(is_alone).copied().collect();
        graph.forget_freed(&mut alone, &queues);
        let timers = timers(&alone, layouts, &known.schedulers);
        let of_queues = queues.iter().map(|queue| (queue.head, queue.start..queue.end));
        let of_wakers = alone.iter().map(|waker| (waker.at, found.start_before(waker.at)..waker.at + 16));
        let loose = of_queues.chain(of_wakers).filter(|(at, _)| graph.known_home(*at).is_none());
        graph.anchors = joined(loose.map(|(_, range)| range).collect());
        for queue in &queues {
            let Some(home) = graph.home(queue.head) else { continue };
            let wait_for = match graph.block(home).map(|block| block.part) {
                Some(Part::Channel) if queue.wait_for == WaitFor::Permits => WaitFor::ChannelSend,
                _ => queue.wait_for,
            };
            graph.waits.extend(queue.queued.iter().map(|queued| Wait {
                waker: queued.waker,
                home,
                at: queue.head,
                wait_for,
                queued: Some(*queued),
                permits: queue.permits,
            }));
        }
        for waker in alone {
            let Some(home) = graph.home(waker.at) else { continue };
            let wait_for = match graph.block(home).map(|block| wait_in(block, &waker)) {
                Some(WaitFor::Unknown) if timers.contains(&waker.at) => WaitFor::Timer,
                known => known.unwrap_or(WaitFor::Unknown),
            };
            graph.waits.push(Wait { waker, home, at: waker.at, wait_for, queued: None, permits: None });
        }
        graph
    }

    /// Leaves out wakers that are none any more: of a task of which all wakers were found elsewhere, those in a part of it that
    /// is no future now, and those that lie in no block which is known, where memory may have been freed.
    fn forget_freed(&self, alone: &mut Vec<Waker>, queues: &[Queue]) {
        let rank = |waker: &Waker| match self.known_home(waker.at).and_then(|home| self.block(home)) {
            Some(block) if wait_in(block, waker) != WaitFor::Unknown => 0,
            Some(_) => 1,
            None => 2,
        };
        let queued = queues.iter().flat_map(|queue| &queue.queued).map(|queued| queued.waker.task);
        let mut found: BTreeMap<u64, u32> = BTreeMap::new();
        for task in queued {
            *found.entry(task).or_default() += 1;
        }
        alone.sort_by_cached_key(|waker| (rank(waker), waker.at));
        alone.retain(|waker| {
            let Some(&all) = self.known.wakers.get(&waker.task) else { return true };
            let found = found.entry(waker.task).or_default();
            *found += 1;
            *found <= all
        });
    }

    fn known_home(&self, at: u64) -> Option<Home> {
        let block = self.found.blocks.position(at).map(Home::Block);
        block.or_else(|| self.roots.module_of(at).map(|_| Home::Static(at)))
    }

    fn home(&self, at: u64) -> Option<Home> {
        let anchor = || {
            let next = self.anchors.partition_point(|range| range.end <= at);
            self.anchors.get(next).filter(|range| range.contains(&at)).map(|_| Home::Anchor(next))
        };
        self.known_home(at).or_else(anchor)
    }

    fn block(&self, home: Home) -> Option<&'a Block> {
        match home {
            Home::Block(place) => self.found.blocks.all().get(place),
            Home::Anchor(_) | Home::Static(_) => None,
        }
    }

    /// Looks for who points to what is waited in, to channels and sockets, and to tasks.
    pub(super) fn pointers(&self, limit: &Limit<'_>) -> Result<Pointers, Stopped> {
        let mut targets: Vec<(Range<u64>, Target)> =
            self.wakers.cells().map(|(start, task)| (start..start + 1, Target::Cell(task))).collect();
        targets.push((self.wakers.records(), Target::Record));
        let homes: BTreeSet<usize> = self
            .waits
            .iter()
            .filter_map(|wait| match wait.home {
                Home::Block(place) => Some(place),
                Home::Anchor(_) | Home::Static(_) => None,
            })
            .collect();
        for (place, block) in self.found.blocks.all().iter().enumerate() {
            let is_target = match block.part {
                Part::Channel | Part::Socket => true,
                Part::Aligned | Part::Sample => homes.contains(&place),
                Part::Cell { .. } | Part::Boxed => false,
            };
            if is_target {
                targets.push((block.start..block.end(), Target::Block(place)));
            }
        }
        let mut free = 0;
        for (place, anchor) in self.anchors.iter().enumerate() {
            let start = anchor.start.saturating_sub(MAX_BEFORE).max(free);
            targets.push((start..anchor.end, Target::Anchor(place)));
            free = anchor.end;
        }
        let statics: BTreeSet<u64> = self
            .waits
            .iter()
            .filter_map(|wait| match wait.home {
                Home::Static(at) => Some(at),
                Home::Block(_) | Home::Anchor(_) => None,
            })
            .collect();
        targets.extend(
            statics.into_iter().map(|at| (at - AROUND_STATIC..at + AROUND_STATIC, Target::Static(at))),
        );
        Pointers::find(&self.found.blocks, self.roots, targets, limit)
    }
}

/// The addresses of the wakers that lie in timers.
fn timers(alone: &[Waker], layouts: &Layouts, schedulers: &BTreeSet<u64>) -> BTreeSet<u64> {
    let Some(at) = layouts.timer else { return BTreeSet::new() };
    let words = own_memory::words_at(alone.iter().map(|waker| waker.at.wrapping_add_signed(at)));
    let is_timer = |word: Option<[u64; 1]>| word.is_some_and(|[word]| schedulers.contains(&word));
    alone.iter().zip(words).filter(|(_, word)| is_timer(*word)).map(|(waker, _)| waker.at).collect()
}

/// What a waker that is in no queue waits for, by where it lies.
fn wait_in(block: &Block, waker: &Waker) -> WaitFor {
    match block.part {
        Part::Channel => WaitFor::ChannelRecv,
        Part::Socket => WaitFor::Io,
        Part::Cell { trailer } if waker.at >= block.start + trailer && block.node.id != waker.task => {
            WaitFor::Join
        }
        Part::Cell { .. } | Part::Boxed | Part::Aligned | Part::Sample => WaitFor::Unknown,
    }
}

/// The ranges, those that touch as one.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
