//! Cores with tables, whatever has become of their bytes.

use std::fs;

use diag_analysis::core_tables::{CoreTablesError, read_core};
use diag_snapshot::{
    Gauge, MemberState, ResourceKind, ResourceRow, ResourceState, RuntimeIndex, SiteIndex, SiteKind, TaskId,
    TaskState,
};
use diag_test_support::core_with_tables::core_with_tables;
use diag_test_support::folder::Folder;
use diag_test_support::random::SplitMix;

#[test]
fn records_are_read_by_what_the_layout_says() {
    let folder = Folder::new("core-tables");
    let path = folder.join("core");
    fs::write(&path, core_with_tables(5, 2)).expect("a core");
    let snapshot = read_core(&path, None).expect("tables");
    let site = snapshot.sites.get(0).expect("a site");
    let text = |index| snapshot.strings.show(index);
    assert_eq!((text(site.file), site.line, site.column, site.spawned), ("src/main.rs", 7, 3, 5));
    assert_eq!((text(site.type_name), site.future_bytes), ("shop::serve::{{closure}}", 96));
    let ids: Vec<TaskId> = snapshot.tasks.iter().map(|task| task.id).collect();
    assert_eq!(ids, (1..=5).chain([1_000]).map(TaskId).collect::<Vec<_>>());
    let task = snapshot.tasks.get(1).expect("a task");
    assert_eq!((task.state, task.polls, task.handles), (TaskState::Idle, 1, Some(1)));
    assert_eq!((task.spawned_us, task.last_poll_us), (2, Some(5_000)));
    // Nothing can wake it: it has no waker, and ours was never asked for.
    assert_eq!((task.wakers, task.lost), (Some(0), Some(2)));
    assert_eq!((snapshot.process.service.as_str(), snapshot.process.instance), ("shop", 9));
    assert!(snapshot.heap.is_none() && snapshot.capture.to_us == 5_000);
    assert!(
        diag_snapshot::read(&diag_snapshot::write(&snapshot)).is_ok_and(|(_, damages)| damages.is_empty())
    );
}

/// Bytes changed, words replaced by absurd ones, and ends cut off.
#[test]
fn what_libraries_made_is_known_by_the_rules_that_were_learnt() {
    let folder = Folder::new("core-tables-census");
    let path = folder.join("core");
    fs::write(&path, core_with_tables(5, 2)).expect("a core");
    let snapshot = read_core(&path, None).expect("tables");
    let task = snapshot.tasks.get(5).expect("a task");
    assert_eq!((task.id, task.tokio_id, task.owner), (TaskId(1_000), Some(77), Some(9)));
    assert_eq!((task.runtime, task.state), (Some(RuntimeIndex(0)), TaskState::Idle));
    let ended = snapshot.zombies.get(0).expect("one that has ended");
    assert_eq!((ended.id, ended.handles, ended.references), (TaskId(1_001), 1, Some(1)));
    assert_eq!((ended.ended_us, ended.cell_bytes), (9, Some(128)));
    let site = snapshot.sites.get(task.site.0 as usize).expect("a site");
    // One lives, one has ended and is held, and five were freed.
    assert_eq!((site.kind, site.spawned, site.freed), (Some(SiteKind::Library), 7, Some(6)));
    assert_eq!(site.future_bytes, 128);
    let [channel, socket, lease] = [0, 1, 2].map(|place| snapshot.resources.get(place).expect("a resource"));
    let kind = |row: &ResourceRow| snapshot.resource_sites.get(row.site.0 as usize).expect("a site").kind;
    assert_eq!(
        [&channel, &socket, &lease].map(kind),
        [ResourceKind::Channel, ResourceKind::Socket, ResourceKind::InUse]
    );
    assert_eq!((channel.sent, channel.queued, channel.senders), (Some(5), Some(2), Some(1)));
    assert_eq!((channel.has_receiver, socket.id, socket.descriptor), (Some(true), 1_003, None));
    let of_sockets = snapshot.resource_sites.get(socket.site.0 as usize).expect("a site");
    assert_eq!((of_sockets.opened, of_sockets.closed, of_sockets.opener), (3, 2, Some(SiteIndex(0))));
    assert_eq!((lease.in_state, lease.opener), (Some(ResourceState::InUse), Some(TaskId(2))));
    assert_eq!((lease.made_us, lease.opened_us, lease.due_us), (Some(0), 3, None));
}

#[test]
fn what_the_service_says_of_itself_is_read() {
    let folder = Folder::new("core-tables-said");
    let path = folder.join("core");
    fs::write(&path, core_with_tables(5, 2)).expect("a core");
    let snapshot = read_core(&path, None).expect("tables");
    let capture = &snapshot.capture;
    assert_eq!(capture.gauges, [Gauge { name: "online".to_owned(), value: -7 }]);
    let ratio = &capture.expected_ratios[0];
    assert_eq!((ratio.tasks.as_str(), ratio.gauge.as_str()), ("serve", "online"));
    assert_eq!((ratio.ratio_ppm, ratio.tolerance_ppm), (2_000_000, 100_000));
    let runtime = &capture.runtimes[0];
    assert_eq!((runtime.name.as_str(), runtime.workers, runtime.alive_tasks), ("main", 2, None));
    let settings: Vec<String> = (capture.settings.iter())
        .map(|setting| format!("{}={} {}", setting.variable, setting.value, setting.from.as_str()))
        .collect();
    assert_eq!(settings, ["DIAG=on default", "DIAG_KEEP=9 code"]);
    let text = |index| snapshot.strings.show(index);
    let (site, group) = (snapshot.group_sites.get(0), snapshot.groups.get(0).expect("a group"));
    assert_eq!(site.map(|site| (text(site.kind), site.line, site.made)), Some(("upload", 8, 1)));
    assert_eq!((text(group.name), group.joined, group.done, group.aborted), ("7.jpg", 2, 1, Some(true)));
    assert_eq!((group.cancel_us, group.cancel_reason.map(text)), (Some(4), Some("one")));
    let members: Vec<_> =
        snapshot.members.iter().map(|row| (row.task, row.state, row.joined_us, row.updated_us)).collect();
    let task = Some(TaskId(2));
    assert_eq!(members, [(task, MemberState::Alive, 1, 4), (task, MemberState::Done, 1, 2)]);
    let latency = snapshot.cancel_latencies.get(0).expect("a latency");
    assert_eq!((latency.bucket, latency.count), (1, 3));
}

#[test]
fn no_bytes_make_it_panic() {
    let folder = Folder::new("core-tables-hostile");
    let path = folder.join("core");
    let whole = core_with_tables(20, 2);
    let mut random = SplitMix(7);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(8) {
            // Half of them in what says where things are.
            let from = if random.below(2) == 0 { 4_096 } else { 0 };
            let at = from + random.below((bytes.len() - from - 8) as u64) as usize;
            let word = [random.number(), 0, u64::MAX, 1 << 63, 0x50_0000][random.below(5) as usize];
            let len = [1, 4, 8][random.below(3) as usize];
            bytes[at..at + len].copy_from_slice(&word.to_le_bytes()[..len]);
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
        }
        fs::write(&path, &bytes).expect("a core");
        match read_core(&path, None) {
            Ok(snapshot) => {
                read += 1;
                assert!(diag_snapshot::read(&diag_snapshot::write(&snapshot)).is_ok());
            }
            Err(error) => {
                refused += 1;
                assert!(!matches!(error, CoreTablesError::OtherExecutable { .. }), "{error}");
            }
        }
    }
    assert!(read > 50 && refused > 50, "{read} read, {refused} refused");
}
