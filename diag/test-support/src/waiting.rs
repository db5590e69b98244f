//! A service of tasks that wait in locks and channels, as a sweep of its memory would have seen it.

use diag_snapshot::{
    BlockKind, BlockRow, Heap, ModuleIndex, Node, NodeKind, ParkedRow, PointerKind, PointerRow, Process,
    ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, SampleRow, SiteIndex, SiteRow, Snapshot,
    StaticRow, Sweep, SweepMode, TaskId, TaskRow, TaskState, WaitFor, WaitRow,
};

use crate::call_stack::call_stack;

/// Of a lock in an `Arc`: where it begins in the block, and the word that has the first of its queue.
pub const LOCK: u64 = 16;
const QUEUE: u64 = 24;

/// What all waits of a kind are called by.
const MUTEX: &[&str] = &["tokio::sync::batch_semaphore::Acquire::poll", "tokio::sync::mutex::Mutex<T>::lock"];
const SEND: &[&str] =
    &["tokio::sync::batch_semaphore::Acquire::poll", "tokio::sync::mpsc::bounded::Sender<T>::reserve"];
const RECV: &[&str] = &["tokio::sync::mpsc::bounded::Receiver<T>::recv"];
const SLEEP: &[&str] = &["tokio::time::sleep::Sleep::poll"];
const JOIN: &[&str] = &["tokio::runtime::task::join::JoinHandle<T>::poll"];

/// A service, a minute after its start, of which each task is idle since its second second.
#[derive(Debug)]
pub struct Waiting {
    /// What the sweep saw.
    pub snapshot: Snapshot,
    words: u64,
}

impl Waiting {
    /// One without tasks; every block is known in full mode.
    pub fn new(mode: SweepMode) -> Self {
        let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
        let mut snapshot = Snapshot { process, ..Snapshot::default() };
        snapshot.capture.to_us = 60_000_000;
        snapshot.capture.sweep = Some(Sweep { mode, passes: 2, ..Sweep::default() });
        snapshot.heap = Some(Heap::default());
        Waiting { snapshot, words: 0 }
    }

    /// A task of a site of its own, at this line, without a waker and a handle.
    pub fn task(&mut self, line: u32) -> Node {
        let (file, type_name) =
            (self.snapshot.strings.intern("svc.rs"), self.snapshot.strings.intern("svc::run"));
        let site = SiteIndex(self.snapshot.sites.len() as u32);
        self.snapshot.sites.push(SiteRow { file, type_name, line, column: 1, ..SiteRow::default() });
        let id = TaskId(self.snapshot.tasks.len() as u64 + 1);
        self.snapshot.tasks.push(TaskRow {
            id,
            site,
            state: TaskState::Idle,
            polls: 30,
            last_poll_us: Some(2_000_000),
            wakers: Some(0),
            handles: Some(0),
            ..TaskRow::default()
        });
        Node { kind: NodeKind::Task, id: id.0 }
    }

    /// Changes a task.
    pub fn change(&mut self, task: Node, change: impl Fn(&mut TaskRow)) {
        let rows = self.snapshot.tasks.iter().map(|mut row| {
            if row.id.0 == task.id {
                change(&mut row);
            }
            row
        });
        self.snapshot.tasks = rows.collect();
    }

    /// A `Mutex` in an `Arc`, made at this line.
    pub fn lock(&mut self, line: u32) -> Node {
        let stack = call_stack(&mut self.snapshot, [("svc::make", Some(("svc.rs", line)))]);
        let id = self.snapshot.blocks.len() as u64;
        let (kind, stack) = (BlockKind::Aligned, Some(stack));
        self.snapshot.blocks.push(BlockRow { id, kind, size_bytes: Some(64), stack, opener: None });
        Node { kind: NodeKind::Block, id }
    }

    /// A bounded channel with so many senders, made at this line.
    pub fn channel(&mut self, line: u32, senders: u64) -> Node {
        let (file, site) = (
            self.snapshot.strings.intern("svc.rs"),
            ResourceSiteIndex(self.snapshot.resource_sites.len() as u32),
        );
        self.snapshot.resource_sites.push(ResourceSiteRow {
            kind: ResourceKind::Channel,
            file: Some(file),
            line: Some(line),
            opened: 1,
            ..ResourceSiteRow::default()
        });
        let id = self.snapshot.resources.len() as u64;
        let (senders, has_receiver) = (Some(senders), Some(true));
        self.snapshot.resources.push(ResourceRow {
            id,
            site,
            senders,
            has_receiver,
            ..ResourceRow::default()
        });
        Node { kind: NodeKind::Resource, id }
    }

    /// A static that the service calls so.
    pub fn keeper(&mut self, symbol: &str) -> Node {
        let (id, symbol) = (self.snapshot.statics.len() as u64, Some(self.snapshot.strings.intern(symbol)));
        self.snapshot.statics.push(StaticRow { id, module: ModuleIndex(0), offset: id * 8, symbol });
        Node { kind: NodeKind::Static, id }
    }

    /// A sampled block that this function allocated by way of another.
    pub fn sample(&mut self, function: &str, by: &str, line: u32) -> Node {
        let calls = [(by, None), (function, Some(("svc.rs", line)))];
        let stack = call_stack(&mut self.snapshot, calls);
        let birth = self.snapshot.heap.iter().map(|heap| heap.samples.len() as u64).sum::<u64>() + 1;
        if let Some(heap) = &mut self.snapshot.heap {
            heap.samples.push(SampleRow {
                birth,
                size_bytes: 1 << 20,
                rate_bytes: 1 << 19,
                stack,
                ..SampleRow::default()
            });
        }
        Node { kind: NodeKind::Sample, id: birth }
    }

    /// A pointer to the start of something, as an `Arc` has it.
    pub fn has(&mut self, from: Node, to: Node) {
        self.points(from, to, 0, PointerKind::Address);
    }

    /// A guard of a lock.
    pub fn locks(&mut self, task: Node, lock: Node) {
        self.points(task, lock, LOCK, PointerKind::Address);
    }

    /// A handle of a task.
    pub fn may_end(&mut self, from: Node, task: Node) {
        self.points(from, task, 0, PointerKind::Handle);
        self.change(task, |row| row.handles = row.handles.map(|handles| handles + 1));
    }

    /// Waits for a lock, as the next in its queue.
    pub fn waits_for_lock(&mut self, task: Node, lock: Node, line: u32) {
        self.has(task, lock);
        self.locks(task, lock);
        let place = self.snapshot.waits.iter().filter(|row| row.node() == lock).count() as u32;
        self.waits(WaitRow {
            offset: Some(QUEUE),
            wait_for: WaitFor::Permits,
            place: Some(place),
            lacks: Some(1),
            ..row(task, lock)
        });
        self.parked(task, MUTEX, line);
    }

    /// Has a future in the queue of a lock that its last poll did not touch; granted or not.
    pub fn leaves(&mut self, task: Node, lock: Node, granted: bool) {
        self.has(task, lock);
        self.locks(task, lock);
        let queue = WaitRow { offset: Some(QUEUE), wait_for: WaitFor::Permits, ..row(task, lock) };
        let (place, lacks) = if granted { (None, 0) } else { (Some(0), 1) };
        let row = WaitRow { place, lacks: Some(lacks), touched: Some(false), ..queue };
        if granted { self.snapshot.waits.push(row) } else { self.waits(row) }
    }

    /// Waits for room in a channel of which it has a sender.
    pub fn waits_for_room(&mut self, task: Node, channel: Node, line: u32) {
        self.waits(WaitRow { wait_for: WaitFor::ChannelSend, ..row(task, channel) });
        self.parked(task, SEND, line);
    }

    /// Waits for a message of a channel of which it has the receiver.
    pub fn waits_for_message(&mut self, task: Node, channel: Node, line: u32) {
        self.waits(WaitRow { wait_for: WaitFor::ChannelRecv, ..row(task, channel) });
        self.parked(task, RECV, line);
    }

    /// Waits for the end of another.
    pub fn waits_for_end(&mut self, task: Node, other: Node, line: u32) {
        self.waits(WaitRow { wait_for: WaitFor::Join, ..row(task, other) });
        self.parked(task, JOIN, line);
    }

    /// Waits for a moment.
    pub fn sleeps(&mut self, task: Node, line: u32) {
        let wheel = Node { kind: NodeKind::Registration, id: 0 };
        self.waits(WaitRow { wait_for: WaitFor::Timer, ..row(task, wheel) });
        self.parked(task, SLEEP, line);
    }

    /// Any pointer.
    pub fn points(&mut self, from: Node, to: Node, to_offset: u64, pointer: PointerKind) {
        self.words += 8;
        self.snapshot.points.push(PointerRow {
            from_kind: from.kind,
            from_id: from.id,
            from_offset: self.words,
            to_kind: to.kind,
            to_id: to.id,
            to_offset,
            pointer,
            held: true,
        });
    }

    fn waits(&mut self, row: WaitRow) {
        self.snapshot.waits.push(row);
        let task = Node { kind: NodeKind::Task, id: row.task.0 };
        self.change(task, |row| row.wakers = row.wakers.map(|wakers| wakers + 1));
    }

    fn parked(&mut self, task: Node, calls: &[&str], line: u32) {
        let calls = calls.iter().map(|call| (*call, None)).chain([("svc::run", Some(("svc.rs", line)))]);
        let stack = call_stack(&mut self.snapshot, calls.collect::<Vec<_>>());
        let task = TaskId(task.id);
        let mut rows: Vec<ParkedRow> = self.snapshot.parked.iter().collect();
        rows.push(ParkedRow { task, stack });
        rows.sort_by_key(|row| row.task);
        self.snapshot.parked = rows.into_iter().collect();
    }

    /// The same ten seconds before, without a sweep.
    pub fn before(&self) -> Snapshot {
        let mut before = self.snapshot.clone();
        before.capture.to_us -= 10_000_000;
        before.capture.sweep = None;
        (before.waits, before.points) = Default::default();
        before
    }
}

fn row(task: Node, node: Node) -> WaitRow {
    WaitRow {
        task: TaskId(task.id),
        node_kind: node.kind,
        node_id: node.id,
        touched: Some(true),
        held: true,
        ..WaitRow::default()
    }
}
