//! What a node is called for people.

use diag_snapshot::{Node, NodeKind, ResourceSiteRow, TaskId, WaitFor, location};

use crate::Analysis;
use crate::allocation_kind::AllocationKind;
use crate::await_point::WaitKind;
use crate::human;

use super::{Holders, Wait};

/// So many of those that wait in something are asked what it is.
const ASKED: usize = 16;

impl Analysis {
    /// Returns a node's name for people, safe to print: `channel made at src/orders.rs:40`, `task spawned at src/hub.rs:9`.
    pub fn node_name(&self, node: Node) -> String {
        let named = match node.kind {
            NodeKind::Task => self.task_spawned_at(TaskId(node.id)).map(|at| format!("task spawned at {at}")),
            NodeKind::Resource => self.resource_name(node.id),
            NodeKind::Sample => self.sample_name(node.id),
            NodeKind::Block => Some(self.block_name(node)),
            NodeKind::Static => Some(self.static_name(node.id)),
            NodeKind::Thread => Some(format!("the stack of {}", self.thread_name(node.id))),
            NodeKind::ThreadLocal => Some(format!("thread-locals of {}", self.thread_name(node.id))),
            NodeKind::Registration => Some("the runtime's own memory".to_owned()),
            _ => None,
        };
        named.unwrap_or_else(|| format!("unknown {} {}", node.kind.as_str(), node.id))
    }

    /// Where a live task was spawned.
    pub(crate) fn task_spawned_at(&self, task: TaskId) -> Option<String> {
        let site = self.snapshot().task(task)?.site;
        Some(human::name(&self.snapshot().site_location(site)))
    }

    fn resource_name(&self, id: u64) -> Option<String> {
        let snapshot = self.snapshot();
        let row = snapshot.resources.get(snapshot.resources.id().find(id)?)?;
        let site = snapshot.resource_sites.get(row.site.0 as usize)?;
        let ResourceSiteRow { kind, name, file, line, .. } = site;
        let what = name.map_or(kind.as_str().to_owned(), |name| human::name(snapshot.strings.show(name)));
        let at = file.map(|file| human::name(&location(snapshot.strings.show(file), line.unwrap_or(0), 0)));
        Some(at.map_or_else(|| what.clone(), |at| format!("{what} made at {at}")))
    }

    fn sample_name(&self, birth: u64) -> Option<String> {
        let samples = &self.snapshot().heap.as_ref()?.samples;
        let stack = samples.stack().get(samples.birth().find(birth)?)?;
        let what = match self.stacks().kind(stack) {
            AllocationKind::Other => "block",
            kind => kind.as_str(),
        };
        Some(format!("{what} made at {}", self.stacks().site(stack).location()))
    }

    /// A lock or the like by what its waiters call it, and by where it was made, or else by where they wait.
    fn block_name(&self, node: Node) -> String {
        let snapshot = self.snapshot();
        let row = snapshot.blocks.id().find(node.id).and_then(|row| snapshot.blocks.get(row));
        let waits: Vec<Wait> = self.holders().map(|holders| holders.waits_in(node)).unwrap_or_default();
        // What a task waits for where it was polled last says what this is.
        let told = waits.iter().filter(|wait| wait.touched != Some(false)).find_map(|wait| {
            let at = self.await_points().of(&snapshot.task(wait.task)?)?;
            Some((at.to_owned(), self.await_points().kind(at)))
        });
        let (at, kind) = told.unzip();
        let what = match waits.first() {
            Some(wait) => noun(kind.flatten(), wait.wait_for),
            None => "block",
        };
        match (row.and_then(|row| row.stack), at) {
            (Some(stack), _) => format!("{what} made at {}", self.stacks().site(stack).location()),
            (None, Some(at)) => match at.split_once(" at ") {
                Some((_, place)) => format!("{what} awaited at {place}"),
                None => what.to_owned(),
            },
            (None, None) => what.to_owned(),
        }
    }

    fn static_name(&self, id: u64) -> String {
        let snapshot = self.snapshot();
        let row = snapshot.statics.id().find(id).and_then(|row| snapshot.statics.get(row));
        let Some(row) = row else { return format!("unknown static {id}") };
        if let Some(symbol) = row.symbol {
            return format!("static {}", human::name(snapshot.strings.show(symbol)));
        }
        let module = snapshot.stacks.modules.get(row.module.0 as usize);
        let path = module.map_or("", |module| snapshot.strings.show(module.path));
        let file = path.rsplit('/').next().unwrap_or(path);
        format!("static at {}+{:#x}", human::name(file), row.offset)
    }

    fn thread_name(&self, id: u64) -> String {
        let snapshot = self.snapshot();
        let is_it = |row: &diag_snapshot::ThreadCpuRow| u64::from(row.tid) == id;
        let name = snapshot.thread_cpu.iter().find(is_it).and_then(|row| row.name);
        match name.map(|name| snapshot.strings.show(name)).filter(|name| !name.is_empty()) {
            Some(name) => format!("thread {}", human::name(name)),
            None => format!("thread {id}"),
        }
    }
}

impl Holders {
    /// Some of those that wait in a node: enough to tell what it is.
    fn waits_in(&self, node: Node) -> Vec<Wait> {
        self.graph.waits_in(node).take(ASKED).copied().collect()
    }
}

/// What tasks wait in, by what they call or else by what the memory shows.
fn noun(kind: Option<WaitKind>, wait_for: WaitFor) -> &'static str {
    match (kind, wait_for) {
        (Some(WaitKind::Mutex), _) => "lock",
        (Some(WaitKind::RwLock | WaitKind::RwLockRead | WaitKind::RwLockWrite), _) => "read-write lock",
        (Some(WaitKind::Semaphore), _) => "semaphore",
        (Some(WaitKind::Pool), _) => "pool",
        (Some(WaitKind::OnceCell), _) => "OnceCell",
        (Some(WaitKind::Oneshot), _) => "oneshot channel",
        (Some(WaitKind::Watch), _) => "watch channel",
        (Some(WaitKind::Broadcast), _) => "broadcast channel",
        (_, WaitFor::Permits) => "lock or semaphore",
        (_, WaitFor::Notify) => "Notify",
        (_, WaitFor::ChannelRecv | WaitFor::ChannelSend) => "channel",
        _ => "block",
    }
}
