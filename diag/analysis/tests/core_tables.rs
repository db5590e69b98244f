//! Cores with tables, whatever has become of their bytes.

use std::fs;

use diag_analysis::core_tables::{CoreTablesError, read_core};
use diag_snapshot::{TaskId, TaskState};
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
    assert_eq!(ids, (1..=5).map(TaskId).collect::<Vec<_>>());
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
