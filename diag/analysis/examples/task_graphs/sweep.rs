//! What a sweep would have seen of the machine: with words that are left over, and in normal mode without what it cannot know.

use diag_snapshot::{
    BlockKind, BlockRow, Node, NodeKind, PointerKind, PointerRow, ResourceRow, ResourceSiteIndex, Snapshot,
    Sweep, SweepMode, TaskId, TaskRow, TaskState, WaitFor, WaitRow,
};

use super::machine::{Machine, Need, Room, Status, Task};

/// Two locks share a block.
const IN_BLOCK: [u64; 2] = [16, 56];
/// From a lock's start to the word of its queue.
const QUEUE: u64 = 8;
/// Blocks of tasks come after those of locks.
const BOXES: u64 = 1_000;

pub(crate) fn swept(machine: &Machine, mode: SweepMode) -> Snapshot {
    let mut memory = Memory { snapshot: Snapshot::default(), mode };
    memory.snapshot.capture.to_us = 60_000_000;
    memory.snapshot.capture.sweep = Some(Sweep { mode, passes: 2, ..Sweep::default() });
    for (id, channel) in (0..).zip(&machine.channels) {
        memory.snapshot.resources.push(ResourceRow {
            id,
            site: ResourceSiteIndex(0),
            senders: Some(channel.senders),
            has_receiver: Some(channel.has_receiver),
            ..ResourceRow::default()
        });
    }
    for id in 0..=(machine.locks.len() as u64 / 2) {
        memory.snapshot.blocks.push(BlockRow { id, kind: BlockKind::Found, ..BlockRow::default() });
    }
    for (at, task) in machine.tasks.iter().enumerate() {
        memory.task(machine, at, task);
    }
    memory.outside(machine);
    memory.snapshot
}

struct Memory {
    snapshot: Snapshot,
    mode: SweepMode,
}

fn block(lock: usize) -> (Node, u64) {
    (Node { kind: NodeKind::Block, id: lock as u64 / 2 }, IN_BLOCK[lock % 2])
}

fn channel(channel: usize) -> Node {
    Node { kind: NodeKind::Resource, id: channel as u64 }
}

fn node(at: usize) -> Node {
    Node { kind: NodeKind::Task, id: at as u64 + 1 }
}

impl Memory {
    fn task(&mut self, machine: &Machine, at: usize, task: &Task) {
        if task.status == Status::Ended {
            return;
        }
        let own = node(at);
        let boxed = Node { kind: NodeKind::Block, id: BOXES + at as u64 };
        let waits = self.waits(machine, at, task);
        let state = if task.status == Status::Runs { TaskState::Woken } else { TaskState::Idle };
        self.snapshot.tasks.push(TaskRow {
            id: TaskId(own.id),
            state,
            polls: 1,
            last_poll_us: Some(1),
            wakers: Some(waits),
            handles: Some(0),
            ..TaskRow::default()
        });
        // A block that no table knows hides what is in it, and in normal mode most are so.
        let is_known = self.mode == SweepMode::Full || at.is_multiple_of(3);
        let mut from_offset = 64;
        let mut add = |memory: &mut Memory, room: Room, to: Node, to_offset: u64| {
            from_offset += 8;
            match room {
                Room::Own => memory.points(own, from_offset, to, to_offset),
                Room::Boxed if is_known => memory.points(boxed, from_offset, to, to_offset),
                Room::Boxed => {}
            }
        };
        for &lock in &task.arcs {
            add(self, Room::Own, block(lock).0, 0);
        }
        for guard in &task.guards {
            let (node, start) = block(guard.lock);
            add(self, guard.room, node, if guard.owned { 0 } else { start });
        }
        for &lock in &task.stale_guards {
            let (node, start) = block(lock);
            add(self, Room::Own, node, start);
        }
        for left in &task.left {
            let (node, start) = block(left.lock);
            add(self, Room::Own, node, start);
        }
        for need in &task.needs {
            if let Need::Lock { lock, .. } = need {
                let (node, start) = block(*lock);
                add(self, Room::Own, node, start);
                add(self, Room::Own, node, start);
            }
        }
        for end in task.senders.iter().chain(&task.receivers) {
            add(self, end.room, channel(end.channel), 0);
        }
        for &stale in &task.stale_ends {
            add(self, Room::Own, channel(stale), 0);
        }
        if is_known {
            self.points(own, 8, boxed, 0);
            let kind = BlockKind::Recorded;
            self.snapshot.blocks.push(BlockRow { id: boxed.id, kind, ..BlockRow::default() });
        }
    }

    /// A row for each queue that it is in, and how many wakers of it there are.
    fn waits(&mut self, machine: &Machine, at: usize, task: &Task) -> u32 {
        let mut wakers = 0;
        let left = task.left.iter().map(|left| (left.lock, left.granted, Some(false)));
        let now = task.needs.iter().filter_map(|need| match need {
            Need::Lock { lock, .. } if machine.locks[*lock].queue.contains(&at) => {
                Some((*lock, false, Some(true)))
            }
            _ => None,
        });
        for (lock, granted, touched) in left.chain(now) {
            let (node, start) = block(lock);
            let place = machine.locks[lock].queue.iter().position(|waiting| *waiting == at);
            let place = place.map(|place| place as u32).filter(|_| !granted);
            let lacks = Some(u64::from(!granted));
            let offset = Some(start + QUEUE);
            wakers += u32::from(!granted);
            let row = WaitRow { offset, wait_for: WaitFor::Permits, place, lacks, touched, ..row(at, node) };
            self.snapshot.waits.push(row);
        }
        for need in task.needs.iter().filter(|_| task.status == Status::Waits) {
            let (node, wait_for) = match *need {
                Need::Lock { .. } => continue,
                Need::Room(of) => (channel(of), WaitFor::ChannelSend),
                Need::Message(of) => (channel(of), WaitFor::ChannelRecv),
                Need::End(other) => (node(other), WaitFor::Join),
                Need::Moment => (Node { kind: NodeKind::Registration, id: 0 }, WaitFor::Timer),
            };
            wakers += 1;
            self.snapshot.waits.push(WaitRow { wait_for, ..row(at, node) });
        }
        wakers
    }

    fn outside(&mut self, machine: &Machine) {
        let thread = Node { kind: NodeKind::Thread, id: 77 };
        let keeper = Node { kind: NodeKind::Static, id: 0 };
        let outside = &machine.outside;
        for (at, &lock) in (0..).zip(&outside.arcs) {
            self.points(keeper, at * 8, block(lock).0, 0);
        }
        for (at, &lock) in (0..).zip(&outside.guards) {
            self.points(thread, at * 8, block(lock).0, block(lock).1);
        }
        for (at, &of) in (100..).zip(outside.senders.iter().chain(&outside.receivers)) {
            self.points(thread, at * 8, channel(of), 0);
        }
    }

    fn points(&mut self, from: Node, from_offset: u64, to: Node, to_offset: u64) {
        self.snapshot.points.push(PointerRow {
            from_kind: from.kind,
            from_id: from.id,
            from_offset,
            to_kind: to.kind,
            to_id: to.id,
            to_offset,
            pointer: PointerKind::Address,
            held: true,
        });
    }
}

fn row(at: usize, node: Node) -> WaitRow {
    WaitRow {
        task: TaskId(at as u64 + 1),
        node_kind: node.kind,
        node_id: node.id,
        held: true,
        touched: Some(true),
        ..WaitRow::default()
    }
}
