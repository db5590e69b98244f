//! Who waits in what, and who points there: a lock that two tasks wait for and a third one has, kept by a static.

use diag_snapshot::{
    BlockKind, BlockRow, ModuleIndex, NodeKind, PointerKind, PointerRow, Snapshot, StackIndex, StaticRow,
    Sweep, SweepMode, TaskId, WaitDirection, WaitFor, WaitRow,
};

/// The lock's block, and the static that keeps it.
const LOCK: u64 = 12;
const KEEPER: u64 = 0;

pub(super) fn holders(snapshot: &mut Snapshot) {
    snapshot.capture.sweep = Some(Sweep {
        mode: SweepMode::Normal,
        taken_us: snapshot.capture.to_us.saturating_sub(9_000),
        took_us: 7_400,
        passes: 2,
        blocks: 190,
        looked_at_bytes: 3 << 20,
        unread_bytes: 4_096,
        rows_dropped: 1,
        tasks_without_memory: 2,
        threads_running: 1,
        why: None,
    });
    let symbol = Some(snapshot.strings.intern("iothub::registry::SESSIONS"));
    snapshot.statics.push(StaticRow { id: KEEPER, module: ModuleIndex(0), offset: 0x5_8010, symbol });
    let (stack, tasks) = (Some(StackIndex(0)), snapshot.tasks.iter().take(3).map(|task| task.id));
    let tasks: Vec<TaskId> = tasks.collect();
    let opener = tasks.first().copied();
    snapshot.blocks.push(BlockRow {
        id: LOCK,
        kind: BlockKind::Aligned,
        size_bytes: Some(256),
        stack,
        opener,
    });
    for (place, &task) in (0..).zip(tasks.iter().skip(1)) {
        snapshot.waits.push(wait(task, place));
        snapshot.points.push(points(NodeKind::Task, task.0));
    }
    opener.iter().for_each(|holder| snapshot.points.push(points(NodeKind::Task, holder.0)));
    snapshot.points.push(points(NodeKind::Static, KEEPER));
}

fn wait(task: TaskId, place: u32) -> WaitRow {
    WaitRow {
        task,
        node_kind: NodeKind::Block,
        node_id: LOCK,
        offset: Some(24),
        wait_for: WaitFor::Permits,
        direction: Some(WaitDirection::Give),
        place: Some(place),
        permits: Some(0),
        lacks: Some(1),
        touched: Some(true),
        held: true,
    }
}

fn points(from_kind: NodeKind, from_id: u64) -> PointerRow {
    PointerRow {
        from_kind,
        from_id,
        from_offset: 192,
        to_kind: NodeKind::Block,
        to_id: LOCK,
        to_offset: 0,
        pointer: PointerKind::Address,
        held: true,
    }
}
