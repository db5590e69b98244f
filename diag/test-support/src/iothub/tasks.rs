//! Tasks that live, have ended, and have ended but are still kept.

use diag_snapshot::{CancelBy, EndRow, Outcome, SiteIndex, TaskId, TaskRow, TaskState, ZombieRow};

use super::{TICK_US, UPTIME_US};
use crate::random::SplitMix;

/// Connections come in bursts; each device's tasks were polled at some time of the last minute.
pub(super) fn live_tasks(random: &mut SplitMix, tasks: u64) -> impl Iterator<Item = TaskRow> {
    let mut id = 1_000;
    (0..tasks).map(move |i| {
        id += 1 + u64::from(random.below(8) == 0) * random.below(40);
        let burst_us = UPTIME_US / 4 + i / 1_000 * 1_000 * (UPTIME_US / 2) / tasks.max(1);
        let spawned_us = (burst_us + i % 1_000 * 50) / TICK_US * TICK_US;
        let polls = 1 + random.log_below(4_000);
        let site = if random.below(50) == 0 { 1 + random.below(5) } else { i % 2 };
        let last_poll_us = (UPTIME_US - random.below(60_000_000)) / TICK_US * TICK_US;
        let is_late = random.below(100) == 0;
        let cancel = (random.below(3_000) == 0).then_some((last_poll_us + 9_000, CancelBy::SetDropped));
        TaskRow {
            id: TaskId(id),
            site: SiteIndex(site as u32),
            spawned_us,
            tokio_id: Some(id + 17),
            parent: (site != 2).then(|| TaskId(1 + site % 3)),
            parent_site: (site != 2).then_some(SiteIndex(2)),
            state: match random.below(2_000) {
                0 => TaskState::Polling,
                1 => TaskState::Woken,
                _ => TaskState::Idle,
            },
            last_poll_us: Some(last_poll_us),
            polls,
            busy_ns: polls * (2_000 + random.below(30_000)),
            longest_poll_ns: 4_000 + random.log_below(2_000_000),
            wakers: Some(1 + u32::from(site == 1)),
            handles: Some(u32::from(site == 3)),
            wakes: Some(polls - 1),
            self_wakes: Some(if site == 4 { polls / 3 } else { 0 }),
            woken_us: (polls > 1).then_some(last_poll_us - if is_late { TICK_US } else { 0 }),
            woken_by: (site == 0).then(|| TaskId(1 + random.below(20))),
            woken_by_site: (site == 0).then_some(SiteIndex(2)),
            woken_by_thread: (site != 0).then(|| 4_712 + random.below(8) as u32),
            thread: Some(4_712 + random.below(8) as u32),
            cancel_us: cancel.map(|(at_us, _)| at_us),
            cancel_by: cancel.map(|(_, by)| by),
            lost: (random.below(5_000) == 0).then_some(2),
            // Of one in eight it is not known.
            waker_taken: (id % 8 != 0).then_some(true),
            ..TaskRow::default()
        }
    })
}

pub(super) fn recent_ends(random: &mut SplitMix, tasks: u64) -> impl Iterator<Item = EndRow> {
    let ends = tasks.min(4_096);
    (0..ends).map(move |i| EndRow {
        id: TaskId(500_000 + i + random.below(3)),
        site: SiteIndex(random.below(6) as u32),
        outcome: if random.below(9) == 0 { Outcome::Cancelled } else { Outcome::Done },
        spawned_us: UPTIME_US - (ends - i) * 900 - random.log_below(60_000_000),
        ended_us: UPTIME_US - (ends - i) * 900,
        polls: 1 + random.log_below(100),
        cancel_us: i.is_multiple_of(9).then(|| UPTIME_US - (ends - i) * 900 - 40),
        cancel_by: i.is_multiple_of(9).then_some(CancelBy::Abort),
    })
}

pub(super) fn zombie(id: u64) -> ZombieRow {
    ZombieRow {
        id: TaskId(id),
        site: SiteIndex(5),
        outcome: Outcome::Done,
        spawned_us: id * 100,
        ended_us: id * 100 + 30_000,
        handles: 1,
        wakers: 0,
        cell_bytes: Some(1_024),
        ..ZombieRow::default()
    }
}
