//! A sweep: one pass over known blocks for wakers, and then for who points to what these lie in.
//!
//! It runs beside the service, on the thread that captures: the system copies memory, and answers instead of faulting where
//! it is gone by now. Nobody is stopped and nothing is added to what the service's threads do. So what is seen may be torn,
//! or of two moments; a pointer counts as held only if two looks found it.
//!
//! | file | what |
//! |---|---|
//! | `known_blocks`, `blocks` | what is known before: cells of tasks, channels, sockets, sampled blocks; all blocks by their addresses |
//! | `wakers`, `discovery` | which words are a waker; the first look, which finds these, and boxed futures |
//! | `queue_layout`, `queues` | how queues are laid out, as learnt; from a waker in a waiting future to its queue |
//! | `retainers` | up to three steps back from sampled blocks |
//! | `roots`, `targets`, `pointers` | statics and stacks; ranges that are looked for; the second look and the third |
//! | `words` | reading memory, for as long as somebody wants that |
//! | `graph`, `rows` | who waits where; what a snapshot has of it |
//!
//! Of memory that is in no table only that is seen which a task leads to: the block of a lock, of a oneshot channel.
//! What holds such a block from memory of that kind is not seen.

mod blocks;
mod discovery;
mod graph;
mod known_blocks;
mod pointers;
mod queue_layout;
mod queues;
mod retainers;
mod roots;
mod rows;
mod targets;
mod wakers;
mod words;

use diag_snapshot::SweepMode;

use super::sites::Sites;
use super::stacks::Tree;
use super::swept::Swept;
use super::tasks;
use crate::census::{self, Cells};
use crate::clock::{self, Anchor};
use crate::heap;
use crate::sys::own_memory;

use discovery::Discovery;
use graph::Graph;
use known_blocks::Known;
use queue_layout::Layouts;
use retainers::Retainers;
use roots::Roots;
use wakers::Wakers;
use words::{Limit, Stopped};

/// A sweep takes no longer than this: by far less than a caller waits. Where code is not optimized, all of it takes ten times
/// as long.
const MAX_NS: u64 = if cfg!(debug_assertions) { 80_000_000_000 } else { 8_000_000_000 };

/// Sweeps, as long as `is_wanted` says that somebody waits for it.
pub(super) fn sweep(
    tasks: &[tasks::Found],
    sites: &Sites,
    stacks: &mut Tree,
    anchor: &Anchor,
    is_wanted: &dyn Fn() -> bool,
) -> Swept {
    let began_ns = clock::precise_ns();
    let limit = Limit { until_ns: began_ns.saturating_add(MAX_NS), is_wanted };
    let mut swept = Swept::default();
    swept.facts.mode = if heap::records_all() { SweepMode::Full } else { SweepMode::Normal };
    swept.facts.taken_us = anchor.us(began_ns);
    if let Err(why) = swept.fill(tasks, sites, stacks, &limit) {
        swept.facts.why = Some(why.to_owned());
    }
    swept.facts.took_us = clock::precise_ns().saturating_sub(began_ns) / 1_000;
    swept
}

impl Swept {
    fn fill(
        &mut self,
        tasks: &[tasks::Found],
        sites: &Sites,
        stacks: &mut Tree,
        limit: &Limit<'_>,
    ) -> Result<(), &'static str> {
        let here = 0_u64;
        if !own_memory::read(std::ptr::from_ref(&here).addr() as u64, &mut [0; 8]) {
            return Err("the system does not let the process read its own memory by address");
        }
        if census::is_empty() {
            return Err("diag::Alloc is not the allocator of this service, or nothing was spawned yet");
        }
        let rules = census::rules().ok_or("tasks are not told from other blocks")?;
        let mut cells = Cells::now(rules).ok_or("the system does not tell what is mapped")?;
        let roots = Roots::find(stacks.modules()).ok_or("the system does not tell what is mapped")?;
        let known = Known::find(rules, &mut cells, tasks, sites);
        self.facts.tasks_without_memory = known.tasks_without_memory;
        self.facts.threads_running = roots.threads_running;
        let layouts = Layouts::learn();
        let wakers = Wakers::new(layouts.data_first, known.cells.clone());
        let found = Discovery::make(&known, &wakers, &mut cells, limit).map_err(Stopped::why)?;
        self.facts.passes = 1;
        self.facts.blocks = found.blocks.all().len() as u64;
        let queues = queues::find(&found.wakers, &layouts, &wakers, limit).map_err(Stopped::why)?;
        let graph = Graph::new(&known, &found, queues, &roots, &wakers, &layouts);
        let pointers = graph.pointers(limit).map_err(Stopped::why)?;
        self.facts.passes = 2;
        self.facts.looked_at_bytes = pointers.read.bytes;
        self.facts.unread_bytes = pointers.read.unread_bytes;
        self.facts.rows_dropped = found.dropped + pointers.dropped;
        let mut retainers = Retainers::new(&found.blocks, &roots);
        let kept = retainers.find(&known.samples, limit);
        self.facts.rows_dropped += retainers.dropped;
        graph.rows(&pointers, &retainers.links, self, stacks);
        kept.map_err(Stopped::why)
    }
}
