//! Who waits for whom, and who keeps what: what follows from one sweep of a service's memory.
//!
//! A sweep leaves where the wakers of tasks lie and who points there. Of that are made the holders of what a task waits for
//! ([`Server`]), the tasks that nothing can wake any more ([`Never`]), the cycles among these ([`Cycle`]), the chain from a
//! waiter to whoever is to move first, and what keeps sampled blocks ([`retainers`]). How sure each is, is part of it: a pointer
//! may be left over from before, and what a normal sweep does not know may hold what it does.
//!
//! Nothing here judges for how long somebody waits: that is for the rules.

mod branch;
mod chain;
mod cycle;
mod graph;
mod name;
mod never;
pub mod retainers;
mod servers;
mod touched;

use std::collections::BTreeMap;

use diag_snapshot::{Node, Sweep, SweepMode, TaskId};

use crate::Analysis;
use graph::Graph;
use servers::Level;

pub use branch::Branch;
pub use chain::Link;
pub use cycle::Cycle;
pub use graph::{Pointer, Wait};
pub use never::Never;
pub use servers::{By, Server};

/// How sure something is that follows from pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Certainty {
    /// What else points there could do it, too.
    Possible,
    /// Of all that is known nothing else could do it.
    Likely,
    /// All memory was looked at twice, and nothing else can do it.
    Proven,
}

/// Who waits for whom in one snapshot.
pub struct Holders {
    graph: Graph,
    /// Tasks that nothing which runs can wake, with how sure that is.
    never: BTreeMap<TaskId, Never>,
    cycles: Vec<Cycle>,
    branches: Vec<Branch>,
}

impl Holders {
    /// None of a snapshot whose memory was not swept.
    pub(crate) fn of(analysis: &Analysis) -> Option<Self> {
        let snapshot = analysis.snapshot();
        let sweep = snapshot.capture.sweep.as_ref()?;
        let mut graph = Graph::new(snapshot);
        graph.needs = touched::needs(analysis, graph.waits());
        let never = never::never(&graph, sweep);
        let cycles = cycle::cycles(&graph, &never);
        let branches = branch::branches(&graph);
        Some(Holders { graph, never, cycles, branches })
    }

    /// Returns what this task waits in, as far as its wakers were found.
    pub fn waits_of(&self, task: TaskId) -> impl Iterator<Item = &Wait> {
        self.graph.waits_of(task)
    }

    /// Returns all waits, by task.
    pub fn waits(&self) -> &[Wait] {
        self.graph.waits()
    }

    /// Returns those that wait in the same place, the first of the queue first.
    pub fn queue(&self, wait: &Wait) -> Vec<&Wait> {
        self.graph.queue(wait)
    }

    /// Returns who may end a wait, the likeliest first; empty if that is not known.
    pub fn servers(&self, wait: &Wait) -> Vec<Server> {
        servers::servers(&self.graph, wait, Level::Lax).map(|servers| servers.all).unwrap_or_default()
    }

    /// Returns the tasks that nothing which runs can wake any more, by id.
    pub fn never(&self) -> impl Iterator<Item = (TaskId, Never)> + '_ {
        self.never.iter().map(|(&task, &never)| (task, never))
    }

    /// Returns whether nothing can wake this task any more.
    pub fn is_never(&self, task: TaskId) -> Option<Never> {
        self.never.get(&task).copied()
    }

    /// Returns the tasks that wait for each other, the surest and largest first.
    pub fn cycles(&self) -> &[Cycle] {
        &self.cycles
    }

    /// Returns the futures inside of tasks that nobody polls and that are in a queue.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// Returns who holds what this task waits for, who what that one waits for, and so on.
    pub fn chain(&self, task: TaskId) -> Vec<Link> {
        chain::chain(&self.graph, task)
    }

    /// Returns what points to a node and was there in both looks.
    pub fn pointers_to(&self, node: Node) -> impl Iterator<Item = &Pointer> {
        self.graph.pointers_into(node).filter(|pointer| pointer.held)
    }
}

/// True if nothing of the memory was left out, so that what nothing points to has no owner.
fn is_whole(sweep: &Sweep) -> bool {
    let Sweep {
        mode, passes, unread_bytes, rows_dropped, tasks_without_memory, threads_running, why, ..
    } = sweep;
    let left_out = [*unread_bytes, *rows_dropped, *tasks_without_memory, *threads_running];
    *mode == SweepMode::Full && *passes >= 2 && left_out == [0; 4] && why.is_none()
}

/// The snapshot's sweep knew all blocks, whether or not it could read all of them.
fn is_full(sweep: &Sweep) -> bool {
    sweep.mode == SweepMode::Full
}
