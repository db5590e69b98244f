//! The blocks whose words are looked at, by their addresses.

use std::ops::Range;

use diag_snapshot::{Node, NodeKind};

use super::words::OWN_MEMORY;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The cell of a task, whose trailer begins there.
    Cell {
        trailer: u64,
    },
    /// A future of a task that lies in a block of its own.
    Boxed,
    Channel,
    Socket,
    /// It is aligned as those are, and none of them.
    Aligned,
    /// A sampled block.
    Sample,
}

/// A block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: u64,
    pub(super) bytes: u64,
    pub(super) node: Node,
    pub(super) part: Part,
}

impl Block {
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes)
    }

    fn range(&self) -> Range<u64> {
        self.start..self.end()
    }

    /// True of what only its task has.
    pub(super) fn is_of_task(&self) -> bool {
        self.node.kind == NodeKind::Task
    }
}

/// All of them, in the order of their addresses; no two overlap.
#[derive(Default)]
pub(super) struct Blocks {
    all: Vec<Block>,
}

impl Blocks {
    /// Of blocks that overlap, as one was freed and another one made meanwhile, the later in the list stays.
    pub(super) fn new(mut all: Vec<Block>) -> Self {
        all.reserve(OWN_MEMORY);
        all.reverse();
        all.sort_by_key(|block| block.start);
        let mut end = 0;
        all.retain(|block| {
            let is_free = block.start >= end;
            if is_free {
                end = block.end();
            }
            is_free
        });
        Blocks { all }
    }

    /// With these besides, as far as nothing is there yet.
    pub(super) fn add(&mut self, more: impl IntoIterator<Item = Block>) {
        let mut all = std::mem::take(&mut self.all);
        let mut more: Vec<Block> = more.into_iter().collect();
        more.retain(|block| Blocks::overlapping(&all, &block.range()).is_none());
        all.extend(more);
        *self = Blocks::new(all);
    }

    pub(super) fn all(&self) -> &[Block] {
        &self.all
    }

    /// The block that an address lies in.
    pub(super) fn find(&self, address: u64) -> Option<&Block> {
        Blocks::overlapping(&self.all, &(address..address.saturating_add(1)))
    }

    /// Its place among all.
    pub(super) fn position(&self, address: u64) -> Option<usize> {
        let next = self.all.partition_point(|block| block.end() <= address);
        self.all.get(next).filter(|block| block.range().contains(&address)).map(|_| next)
    }

    fn overlapping<'a>(all: &'a [Block], range: &Range<u64>) -> Option<&'a Block> {
        let next = all.partition_point(|block| block.end() <= range.start);
        all.get(next).filter(|block| block.start < range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(start: u64, bytes: u64, id: u64) -> Block {
        Block { start, bytes, node: Node { kind: NodeKind::Task, id }, part: Part::Boxed }
    }

    #[test]
    fn an_address_has_one_block_or_none() {
        let mut blocks = Blocks::new(vec![block(256, 64, 1), block(128, 64, 2), block(128, 128, 3)]);
        let id = |blocks: &Blocks, address| blocks.find(address).map(|block| block.node.id);
        assert_eq!(
            [127, 128, 255, 256, 319, 320].map(|at| id(&blocks, at)),
            [None, Some(3), Some(3), Some(1), Some(1), None]
        );
        blocks.add([block(200, 8, 4), block(320, 8, 5), block(u64::MAX - 4, 64, 6)]);
        assert_eq!(
            [200, 320, 328, u64::MAX - 1].map(|at| id(&blocks, at)),
            [Some(3), Some(5), None, Some(6)]
        );
    }
}
