//! What a snapshot has of a sweep: who waits in what, and who points there.

use std::collections::{BTreeMap, BTreeSet};

use diag_snapshot::{
    BlockKind, BlockRow, ModuleIndex, Node, NodeKind, PointerKind, PointerRow, StaticRow, TaskId,
    WaitDirection, WaitFor, WaitRow,
};

use super::super::stacks::Tree;
use super::Swept;
use super::graph::{Graph, Home, MAX_BEFORE, Wait};
use super::known_blocks::Known;
use super::pointers::{Pointer, Pointers, Source, Target};
use super::retainers::{Link, LinkEnd};
use super::roots::Root;
use crate::census::Origin;
use crate::heap;
use crate::sys::own_memory;
use crate::task::context;

/// No `Arc` counts so many.
const MAX_COUNT: u64 = 1 << 32;
/// The counts of an `Arc` come before its value.
const COUNTS_BYTES: u64 = 16;

impl Graph<'_> {
    /// Fills in the tables.
    pub(super) fn rows(&self, pointers: &Pointers, kept: &[Link], swept: &mut Swept, stacks: &mut Tree) {
        let starts = self.starts(pointers);
        let ids = ids(&starts, kept);
        let mut rows =
            Rows { graph: self, starts: &starts, ids: &ids, statics: BTreeMap::new(), used: BTreeSet::new() };
        rows.number_statics(pointers, kept);
        let held = still_there(&self.waits);
        let mut waits: Vec<WaitRow> =
            self.waits.iter().zip(&held).map(|(wait, &held)| rows.wait(wait, held)).collect();
        let mut points: Vec<PointerRow> =
            self.waits.iter().zip(&held).filter_map(|(wait, &held)| rows.waker(wait, held)).collect();
        let root_wakers = self.root_wakers(&pointers.all);
        points.extend(pointers.all.iter().filter_map(|pointer| rows.pointer(pointer, &root_wakers)));
        points.extend(kept.iter().filter_map(|link| rows.link(link)));
        waits.sort_by_key(|row| (row.task, row.node(), row.offset));
        points.sort_by_key(|row| (row.from(), row.from_offset, row.to(), row.to_offset));
        let mut blocks: Vec<BlockRow> =
            ids.values().map(|&id| BlockRow { id, kind: BlockKind::Found, ..BlockRow::default() }).collect();
        blocks.extend(rows.used.iter().filter_map(|id| aligned(*id, self.known, stacks)));
        blocks.sort_by_key(|row| row.id);
        let modules = stacks.modules();
        for (&address, &id) in &rows.statics {
            let Some(module) = self.roots.module_of(address) else { continue };
            let offset = address.wrapping_sub(modules[module].base);
            swept.statics.push(StaticRow { id, module: ModuleIndex(module as u32), offset, symbol: None });
        }
        swept.blocks = blocks.into_iter().collect();
        swept.waits = waits.into_iter().collect();
        swept.points = points.into_iter().collect();
    }

    /// Where the block of each anchor begins: where an `Arc` has its counts, of all that is pointed to the last before it.
    fn starts(&self, pointers: &Pointers) -> Vec<u64> {
        let mut candidates: Vec<(usize, u64)> = pointers
            .all
            .iter()
            .filter_map(|pointer| match pointer.target {
                Target::Anchor(place) => Some((place, pointer.word)),
                _ => None,
            })
            .filter(|&(place, word)| word % 8 == 0 && word <= self.anchors[place].start)
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let all_counts = own_memory::words_at::<2>(candidates.iter().map(|&(_, address)| address));
        let mut starts: Vec<Option<u64>> = vec![None; self.anchors.len()];
        for (&(place, word), counts) in candidates.iter().zip(all_counts) {
            let has_counts =
                counts.is_some_and(|counts| counts.iter().all(|count| (1..MAX_COUNT).contains(count)));
            let has_room = word + COUNTS_BYTES <= self.anchors[place].end;
            // Ascending: the last one stays.
            if has_counts && has_room {
                starts[place] = Some(word);
            }
        }
        self.join_blocks(pointers, &mut starts);
        starts.into_iter().zip(&self.anchors).map(|(start, anchor)| start.unwrap_or(anchor.start)).collect()
    }

    /// Of two locks in one block only the first has the block's start before it. The other one is in that block as well if who
    /// waits for it points to that start, too.
    fn join_blocks(&self, pointers: &Pointers, starts: &mut [Option<u64>]) {
        let of_task = |pointer: &Pointer| match pointer.source {
            Source::Block(place) => {
                Some(self.found.blocks.all()[place].node).filter(|node| node.kind == NodeKind::Task)
            }
            Source::Root(_) => None,
        };
        let known: BTreeSet<(u64, u64)> =
            pointers.all.iter().filter_map(|pointer| Some((of_task(pointer)?.id, pointer.word))).collect();
        let mut waiting: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for wait in &self.waits {
            if let Home::Anchor(place) = wait.home {
                waiting.entry(place).or_default().push(wait.waker.task);
            }
        }
        for place in 1..starts.len() {
            let before = starts[place - 1].filter(|start| self.anchors[place].start - start <= MAX_BEFORE);
            if let (None, Some(start), Some(tasks)) = (starts[place], before, waiting.get(&place))
                && tasks.iter().any(|&task| known.contains(&(task, start)))
            {
                starts[place] = Some(start);
            }
        }
    }

    /// The pointers of roots that are wakers, by their addresses: nobody has looked for those there.
    fn root_wakers(&self, all: &[Pointer]) -> BTreeSet<u64> {
        let of_roots = all.iter().filter(|pointer| {
            matches!(pointer.source, Source::Root(_))
                && matches!(pointer.target, Target::Record | Target::Cell(_))
        });
        let addresses: Vec<u64> = of_roots.map(|pointer| pointer.at).collect();
        let around = own_memory::words_at::<3>(addresses.iter().map(|at| at.saturating_sub(8)));
        let is_waker = |[before, word, after]: [u64; 3]| {
            [[before, word], [word, after]].into_iter().any(|two| self.wakers.task(two).is_some())
        };
        let known = addresses.into_iter().zip(around);
        known.filter(|(_, words)| words.is_some_and(is_waker)).map(|(at, _)| at).collect()
    }
}

/// A number for each block that begins there.
fn ids(starts: &[u64], kept: &[Link]) -> BTreeMap<u64, u64> {
    let bases = kept.iter().flat_map(|link| [link.from, link.to]).filter_map(|end| match end {
        LinkEnd::Base(base) => Some(base.address()),
        LinkEnd::Known(_) | LinkEnd::Root(_) => None,
    });
    let starts: BTreeSet<u64> = starts.iter().copied().chain(bases).collect();
    starts.into_iter().map(|start| (start, context::take_id())).collect()
}

/// Whether each waker is still where it was.
fn still_there(waits: &[Wait]) -> Vec<bool> {
    let words = own_memory::words_at(waits.iter().map(|wait| wait.waker.at));
    waits.iter().zip(words).map(|(wait, words)| words == Some(wait.waker.words)).collect()
}

/// The row of a block of the census.
fn aligned(id: u64, known: &Known, stacks: &mut Tree) -> Option<BlockRow> {
    let block = known.aligned.get(&id)?;
    let frames = heap::frames(block.stack);
    let opener = match block.origin {
        Origin::Recorded(task) => task.id().map(TaskId),
        Origin::Outside | Origin::Unrecorded(_) => None,
    };
    Some(BlockRow {
        id,
        kind: BlockKind::Aligned,
        size_bytes: Some(block.layout.size() as u64),
        stack: (frames.len() > 1).then(|| stacks.add(&frames)),
        opener,
    })
}

/// Rows, while they are made.
struct Rows<'a, 'b> {
    graph: &'b Graph<'a>,
    starts: &'b [u64],
    ids: &'b BTreeMap<u64, u64>,
    /// The numbers of words of statics by their addresses.
    statics: BTreeMap<u64, u64>,
    /// Blocks of the census that have to have a row.
    used: BTreeSet<u64>,
}

impl Rows<'_, '_> {
    fn number_statics(&mut self, pointers: &Pointers, kept: &[Link]) {
        let homes = self.graph.waits.iter().filter_map(|wait| match wait.home {
            Home::Static(at) => Some(at),
            Home::Block(_) | Home::Anchor(_) => None,
        });
        let roots = &self.graph.roots.ranges;
        let sources = pointers.all.iter().filter(|pointer| match pointer.source {
            Source::Root(place) => matches!(roots[place].1, Root::Static(_)),
            Source::Block(_) => false,
        });
        let keepers = kept.iter().filter(|link| match link.from {
            LinkEnd::Root(place) => matches!(roots[place].1, Root::Static(_)),
            LinkEnd::Known(_) | LinkEnd::Base(_) => false,
        });
        let keepers = keepers.map(|link| link.at.address());
        let addresses: BTreeSet<u64> =
            homes.chain(sources.map(|pointer| pointer.at)).chain(keepers).collect();
        self.statics = addresses.into_iter().zip(0..).collect();
    }

    /// The node that a word lies in, and where in it.
    fn of_home(&mut self, home: Home, at: u64) -> Option<(Node, u64)> {
        match home {
            Home::Block(place) => {
                let block = self.graph.found.blocks.all().get(place)?;
                if block.node.kind == NodeKind::Block {
                    self.used.insert(block.node.id);
                }
                Some((block.node, at.wrapping_sub(block.start)))
            }
            Home::Anchor(place) => {
                let start = *self.starts.get(place)?;
                Some((Node { kind: NodeKind::Block, id: *self.ids.get(&start)? }, at.wrapping_sub(start)))
            }
            Home::Static(word) => {
                Some((Node { kind: NodeKind::Static, id: *self.statics.get(&word)? }, at.wrapping_sub(word)))
            }
        }
    }

    fn wait(&mut self, wait: &Wait, held: bool) -> WaitRow {
        let itself = Node { kind: NodeKind::Task, id: wait.waker.task };
        let (node, offset) = self.of_home(wait.home, wait.at).unwrap_or((itself, 0));
        let direction = match wait.wait_for {
            WaitFor::ChannelSend | WaitFor::Permits => Some(WaitDirection::Give),
            WaitFor::ChannelRecv | WaitFor::Notify | WaitFor::Join => Some(WaitDirection::Receive),
            _ => None,
        };
        WaitRow {
            task: TaskId(wait.waker.task),
            node_kind: node.kind,
            node_id: node.id,
            offset: Some(offset),
            wait_for: wait.wait_for,
            direction,
            place: wait.queued.map(|queued| queued.place),
            permits: wait.permits,
            lacks: wait.queued.and_then(|queued| queued.lacks),
            touched: None,
            held,
        }
    }

    /// That something else than the task has its waker.
    fn waker(&mut self, wait: &Wait, held: bool) -> Option<PointerRow> {
        if wait.queued.is_some() {
            return None;
        }
        let (from, from_offset) = self.of_home(wait.home, wait.at)?;
        let to = Node { kind: NodeKind::Task, id: wait.waker.task };
        (from != to).then(|| row((from, from_offset), (to, 0), PointerKind::Waker, held))
    }

    fn pointer(&mut self, pointer: &Pointer, root_wakers: &BTreeSet<u64>) -> Option<PointerRow> {
        let from = match pointer.source {
            Source::Block(place) => self.of_home(Home::Block(place), pointer.at)?,
            Source::Root(place) => self.of_root(place, pointer.at)?,
        };
        let task = |id: u64| {
            let kind =
                if root_wakers.contains(&pointer.at) { PointerKind::Waker } else { PointerKind::Handle };
            ((Node { kind: NodeKind::Task, id }, 0), kind)
        };
        let (to, kind) = match pointer.target {
            // Which a wait is for.
            Target::Record | Target::Cell(_) if self.is_in_waker(pointer.at) => return None,
            // The first of the records lies where the table of all begins, which the recorder's statics have.
            Target::Record
                if matches!(pointer.source, Source::Root(_)) && !root_wakers.contains(&pointer.at) =>
            {
                return None;
            }
            Target::Record => task(self.graph.wakers.recorded(pointer.word)?),
            Target::Cell(id) => task(id),
            Target::Block(place) => (self.of_home(Home::Block(place), pointer.word)?, PointerKind::Address),
            Target::Anchor(place) if pointer.word < *self.starts.get(place)? => return None,
            Target::Anchor(place) => (self.of_home(Home::Anchor(place), pointer.word)?, PointerKind::Address),
            Target::Static(at) => ((self.of_home(Home::Static(at), at)?.0, 0), PointerKind::Address),
        };
        (from.0 != to.0).then(|| row(from, to, kind, pointer.held))
    }

    /// What keeps a sampled block, or what keeps that.
    fn link(&mut self, link: &Link) -> Option<PointerRow> {
        let from = match link.from {
            LinkEnd::Root(place) => self.of_root(place, link.at.address())?,
            LinkEnd::Known(place) => self.of_home(Home::Block(place), link.at.address())?,
            LinkEnd::Base(base) => self.of_base(base.address(), link.at.address())?,
        };
        let to = match link.to {
            LinkEnd::Known(place) => self.of_home(Home::Block(place), link.word.address())?,
            LinkEnd::Base(base) => self.of_base(base.address(), link.word.address())?,
            LinkEnd::Root(_) => return None,
        };
        (from.0 != to.0).then(|| row(from, to, PointerKind::Address, link.held))
    }

    /// A block that pointers lead to. Of a map they point behind its entries.
    fn of_base(&self, base: u64, at: u64) -> Option<(Node, u64)> {
        Some((Node { kind: NodeKind::Block, id: *self.ids.get(&base)? }, at.saturating_sub(base)))
    }

    fn of_root(&self, place: usize, at: u64) -> Option<(Node, u64)> {
        let node = match self.graph.roots.ranges.get(place)?.1 {
            Root::Static(_) => Node { kind: NodeKind::Static, id: *self.statics.get(&at)? },
            Root::Stack(thread) => Node { kind: NodeKind::Thread, id: thread.into() },
        };
        Some((node, 0))
    }

    /// True of a word that belongs to a waker which was found.
    fn is_in_waker(&self, at: u64) -> bool {
        let wakers = &self.graph.found.wakers;
        let next = wakers.partition_point(|waker| waker.at + 16 <= at);
        wakers.get(next).is_some_and(|waker| (waker.at..waker.at + 16).contains(&at))
    }
}

fn row(from: (Node, u64), to: (Node, u64), pointer: PointerKind, held: bool) -> PointerRow {
    PointerRow {
        from_kind: from.0.kind,
        from_id: from.0.id,
        from_offset: from.1,
        to_kind: to.0.kind,
        to_id: to.0.id,
        to_offset: to.1,
        pointer,
        held,
    }
}
