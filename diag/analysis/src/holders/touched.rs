//! Which wakers of a task lie where its last poll did not look: left by what it awaited before.
//!
//! A oneshot channel keeps the waker of who awaited it, though it has long answered. Where the stacks of the last poll say what all of
//! it was for, and each of these has its own waker, what is left over is not waited in.

use std::collections::{HashMap, HashSet};

use diag_snapshot::{TaskId, WaitFor};

use super::graph::Wait;
use crate::Analysis;
use crate::await_point::{AwaitPoint, WaitKind};

/// The tasks of which it is known for what alone their last poll gave wakers away, and that have a waker in each of that.
pub(super) fn needs(analysis: &Analysis, waits: &[Wait]) -> HashMap<TaskId, HashSet<WaitFor>> {
    let waiting: HashSet<TaskId> = waits.iter().map(|wait| wait.task).collect();
    let mut needs: HashMap<TaskId, Option<HashSet<WaitFor>>> = HashMap::new();
    for row in analysis.snapshot().parked.iter().filter(|row| waiting.contains(&row.task)) {
        let kind = AwaitPoint::of(analysis.stacks().named.stack(row.stack)).kind;
        let known = needs.entry(row.task).or_insert_with(|| Some(HashSet::new()));
        match (known.as_mut(), wait_for(kind)) {
            (Some(all), Some(one)) => _ = all.insert(one),
            _ => *known = None,
        }
    }
    let mut found: HashMap<TaskId, HashSet<WaitFor>> = HashMap::new();
    waits.iter().for_each(|wait| _ = found.entry(wait.task).or_default().insert(wait.wait_for));
    let is_found = |(task, needs): (TaskId, Option<HashSet<WaitFor>>)| {
        let needs = needs.filter(|needs| found.get(&task).is_some_and(|found| needs.is_subset(found)))?;
        Some((task, needs))
    };
    needs.into_iter().filter_map(is_found).collect()
}

/// Where such a wait leaves its waker, if that is one kind of place.
fn wait_for(kind: WaitKind) -> Option<WaitFor> {
    match kind {
        WaitKind::Mutex
        | WaitKind::RwLock
        | WaitKind::RwLockRead
        | WaitKind::RwLockWrite
        | WaitKind::Semaphore => Some(WaitFor::Permits),
        WaitKind::MpscSend => Some(WaitFor::ChannelSend),
        WaitKind::MpscRecv => Some(WaitFor::ChannelRecv),
        WaitKind::Join => Some(WaitFor::Join),
        WaitKind::Notify => Some(WaitFor::Notify),
        WaitKind::Timer => Some(WaitFor::Timer),
        _ => None,
    }
}
