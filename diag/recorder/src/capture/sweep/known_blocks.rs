//! What is known before any word is looked at: the cells of tasks, the other blocks of the census, the sampled blocks.

use std::collections::BTreeSet;

use diag_snapshot::{Node, NodeKind};

use super::super::sites::Sites;
use super::super::tasks;
use super::blocks::{Block, Part};
use super::words::OWN_MEMORY;
use crate::census::{Cell, Cells, Found, Kind, Rules};
use crate::heap::{self, Sample};
use crate::number_map::NumberMap;
use crate::runtime;
use crate::task::context;
use crate::task::reading::RunState;

/// See the module.
pub(super) struct Known {
    pub(super) blocks: Vec<Block>,
    /// The tasks by the addresses of their cells.
    pub(super) cells: NumberMap<u64, u64>,
    /// Blocks of the census that are nothing that has a row, by their numbers.
    pub(super) aligned: NumberMap<u64, crate::census::Block>,
    /// Futures that lie in a block of their own, of which only an address in the task's cell is known: where that is, and
    /// how large it is.
    pub(super) boxed: Vec<(u64, u64)>,
    pub(super) tasks_without_memory: u64,
    /// The sampled blocks by their addresses.
    pub(super) samples: Vec<(u64, Sample)>,
    /// How many wakers there are of each task with a record, as far as that is counted.
    pub(super) wakers: NumberMap<u64, u32>,
    /// What runs these tasks: the addresses of schedulers.
    pub(super) schedulers: BTreeSet<u64>,
}

impl Known {
    /// `sites` has the sizes of futures.
    pub(super) fn find(
        rules: &'static Rules,
        cells: &mut Cells,
        tasks: &[tasks::Found],
        sites: &Sites,
    ) -> Self {
        let mut known = Known {
            blocks: Vec::new(),
            cells: NumberMap::default(),
            aligned: NumberMap::default(),
            boxed: Vec::new(),
            tasks_without_memory: 0,
            samples: Vec::new(),
            wakers: NumberMap::default(),
            schedulers: runtime::words().map(|(word, _)| word).collect(),
        };
        // What lies later in the list wins where two overlap: a cell was found by the task that has it now.
        known.samples.reserve(OWN_MEMORY);
        known.samples.extend(heap::live_blocks());
        for &(start, sample) in &known.samples {
            let node = Node { kind: NodeKind::Sample, id: sample.birth };
            known.blocks.push(Block { start, bytes: sample.size_bytes, node, part: Part::Sample });
        }
        rules.survey().iter().for_each(|found| known.add_aligned(found, cells));
        known.add_recorded(cells, tasks, sites);
        known.schedulers.extend(cells.schedulers(known.cells.keys().copied()));
        known
    }

    fn add_aligned(&mut self, found: &Found, cells: &mut Cells) {
        let block = found.block;
        if !context::is_own(block.birth) || found.kind == Kind::New {
            return;
        }
        let (start, bytes) = (block.address as u64, block.layout.size() as u64);
        let cell = found.task().and_then(|task| cells.cell(task.table));
        let node = |kind| Node { kind, id: block.birth };
        let (node, part) = match (found.kind, cell) {
            (Kind::Task, Some(cell)) => {
                self.cells.insert(start, block.birth);
                (node(NodeKind::Task), Part::Cell { trailer: cell.trailer })
            }
            (Kind::Channel, _) => (node(NodeKind::Resource), Part::Channel),
            (Kind::Socket, _) => (node(NodeKind::Resource), Part::Socket),
            _ => {
                self.aligned.insert(block.birth, block);
                (node(NodeKind::Block), Part::Aligned)
            }
        };
        self.blocks.push(Block { start, bytes, node, part });
    }

    /// The cells of tasks with a record, to which their records lead.
    fn add_recorded(&mut self, cells: &mut Cells, tasks: &[tasks::Found], sites: &Sites) {
        let (mut addresses, mut ids) = (Vec::new(), Vec::new());
        for found in tasks {
            let Some(reading) = found.read() else { continue };
            let Some(id) = reading.task.id() else { continue };
            if reading.state.is_countable() {
                self.wakers.insert(id, reading.state.wakers());
            }
            let address = found.record.runtime_waker().addr() as u64;
            if address != 0 {
                addresses.push(address);
                let future_bytes = reading.task.site().and_then(|site| sites.future_bytes(site));
                ids.push((id, reading.run_state() == RunState::Ended, future_bytes));
            } else {
                self.tasks_without_memory += 1;
            }
        }
        let found = cells.at(&addresses);
        for ((&start, (id, has_ended, future_bytes)), cell) in addresses.iter().zip(ids).zip(found) {
            let Some(Cell { bytes, trailer, future }) = cell else {
                self.tasks_without_memory += u64::from(!has_ended);
                continue;
            };
            self.cells.insert(start, id);
            let node = Node { kind: NodeKind::Task, id };
            self.blocks.push(Block { start, bytes, node, part: Part::Cell { trailer } });
            // Too large for its cell: there is its address instead.
            self.boxed
                .extend(future_bytes.filter(|size| size + future > bytes).map(|size| (start + future, size)));
        }
    }
}
