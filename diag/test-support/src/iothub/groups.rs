//! Two uploads, one of which was cancelled and has a part that goes on.

use diag_snapshot::{
    CancelLatencyRow, GroupRow, GroupSiteIndex, GroupSiteRow, MemberRow, MemberState, Snapshot, TaskId,
};

use super::UPTIME_US;

const MINUTE_US: u64 = 60_000_000;

pub(super) fn groups(snapshot: &mut Snapshot) {
    let [upload, file, gone] = ["upload", "examples/src/iothub.rs", "the device went away"]
        .map(|name| snapshot.strings.intern(name));
    let site = GroupSiteIndex(0);
    snapshot.group_sites.push(GroupSiteRow { kind: upload, file, line: 350, made: 90, cancelled: 41 });
    for (bucket, count) in [(0, 390), (5, 10)] {
        snapshot.cancel_latencies.push(CancelLatencyRow { site, bucket, count });
    }
    for (id, cancel_us) in [(3_000_000_000, None), (3_000_000_100, Some(UPTIME_US - MINUTE_US))] {
        let group = GroupRow {
            id,
            site,
            name: snapshot.strings.intern(&format!("firmware-{}", id % 1_000)),
            made_us: UPTIME_US - 2 * MINUTE_US,
            joined: 3,
            done: 1,
            cancelled: u64::from(cancel_us.is_some()),
            panicked: 0,
            cancel_us,
            cancel_reason: cancel_us.map(|_| gone),
            aborted: cancel_us.map(|_| false),
        };
        snapshot.groups.push(group);
        let second = if cancel_us.is_some() { MemberState::Cancelled } else { MemberState::Alive };
        for (part, state) in [MemberState::Done, second, MemberState::Alive].into_iter().enumerate() {
            let (joined_us, updated_us) =
                (group.made_us + part as u64 * 1_000, UPTIME_US - MINUTE_US + 4_000);
            let task = snapshot.tasks.get(part).map_or(TaskId(1_000), |task| task.id);
            let (name, group) = (snapshot.strings.intern(&format!("part {part}")), group.id);
            snapshot.members.push(MemberRow { group, name, task: Some(task), state, joined_us, updated_us });
        }
    }
}
