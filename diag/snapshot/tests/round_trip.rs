//! What is written is what is read, whatever the values are.

use std::collections::BTreeMap;

use diag_snapshot::{Micros, Nanos, Row, SiteIndex, SiteRow, Snapshot, Table, TaskId, TaskRow, read, write};
use diag_test_support::any::snapshot;
use diag_test_support::iothub;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_snapshot_is_read_as_it_was_written(snapshot in snapshot()) {
        prop_assert_eq!(read(&write(&snapshot)), Ok((snapshot, vec![])));
    }
}

#[test]
fn an_empty_snapshot_is_read_as_it_was_written() {
    let empty = Snapshot::default();
    assert_eq!(read(&write(&empty)), Ok((empty, vec![])));
}

#[test]
fn a_realistic_snapshot_is_read_as_it_was_written() {
    let service = iothub::service(3_000, 1_000);
    assert_eq!(read(&write(&service)), Ok((service, vec![])));
}

/// As tasks of a library spawn others of their own site, or of one that was met later.
#[test]
fn a_site_may_be_spawned_by_any() {
    let site = |spawner: u32| SiteRow { spawner: Some(SiteIndex(spawner)), ..SiteRow::default() };
    let sites = |spawners: [u32; 3]| {
        let mut snapshot = Snapshot::default();
        snapshot.strings.intern("");
        Snapshot { sites: spawners.into_iter().map(site).collect(), ..snapshot }
    };
    assert_eq!(read(&write(&sites([2, 1, 0]))), Ok((sites([2, 1, 0]), vec![])));
    let (_, damage) = read(&write(&sites([0, 0, 3]))).expect("the rest of it is whole");
    assert_eq!(damage[0].what, "column spawner: row 2 points nowhere");
}

#[test]
fn tasks_are_written_in_order_and_once_and_the_rest_is_counted() {
    let ordered = iothub::service(5, 0);
    let tasks: Vec<TaskRow> = ordered.tasks.iter().collect();
    let twin = TaskRow { polls: 99_999, ..tasks[2] };
    let jumbled = [tasks[4], tasks[2], tasks[0], tasks[1], twin, tasks[3], tasks[0]];
    let file = write(&Snapshot { tasks: jumbled.into_iter().collect(), ..ordered.clone() });
    let (read, damage) = read(&file).expect("the file is whole");
    assert_eq!((read.tasks, damage), (ordered.tasks, vec![]));
    let mut counted = BTreeMap::from([("duplicate tasks".to_owned(), 2)]);
    counted.extend(ordered.capture.dropped);
    assert_eq!(read.capture.dropped, counted);
}

fn spawned(id: u64) -> TaskRow {
    TaskRow { id: TaskId(id), spawned_us: 9, ..TaskRow::default() }
}

#[test]
fn what_is_absent_in_every_row_takes_no_column() {
    let plain: Table<TaskRow> = (0..3).map(spawned).collect();
    let filled = TaskRow::TABLE.columns.iter().zip(plain.columns()).filter(|(_, values)| !values.is_empty());
    assert!(filled.clone().all(|(column, _)| !column.optional));
    let tasks = Snapshot { tasks: plain, ..iothub::service(3, 0) };
    let (read, damage) = read(&write(&tasks)).expect("the file is whole");
    assert_eq!((read.tasks, damage), (tasks.tasks, vec![]));
}

#[test]
fn times_are_those_of_the_rows() {
    let tasks = iothub::service(500, 0).tasks;
    assert!(tasks.times().eq(tasks.iter().map(|task| task.times())));
    assert!(tasks.times().all(|task| task.last_progress() == task.last_poll));
}

#[test]
fn a_column_has_the_values_of_the_rows() {
    let tasks = iothub::service(500, 0).tasks;
    assert!(tasks.id().iter().eq(tasks.iter().map(|task| task.id)));
    assert!(tasks.state().iter().eq(tasks.iter().map(|task| task.state)));
    assert!(tasks.busy_ns().iter().eq(tasks.iter().map(|task| Nanos(task.busy_ns))));
    assert!(tasks.cancel_us().iter().eq(tasks.iter().map(|task| task.cancel_us.map(Micros))));
    assert_eq!(tasks.polls().get(7), tasks.get(7).map(|task| task.polls));
    assert_eq!((tasks.polls().get(500), tasks.get(500)), (None, None));
    let id = tasks.id().get(7).expect("500 tasks");
    assert_eq!((tasks.id().find(id), tasks.id().find(TaskId(0))), (Some(7), None));
}

#[test]
fn a_column_that_is_absent_in_every_row_is_absent_in_each() {
    let tasks: Table<TaskRow> = (0..3).map(spawned).collect();
    assert!(tasks.name().iter().eq([None; 3]));
    assert_eq!((tasks.name().get(2), tasks.name().get(3)), (Some(None), None));
}

#[test]
fn a_task_keeps_what_is_absent_absent() {
    let task = spawned(7);
    let zero =
        TaskRow { tokio_id: Some(0), last_poll_us: Some(0), wakers: Some(0), lost: Some(0), ..spawned(8) };
    let last = TaskRow { id: TaskId(9), ..task };
    let rows = [task, zero, last];
    let tasks = Snapshot { tasks: rows.into_iter().collect(), ..iothub::service(1, 0) };
    let (read, _) = read(&write(&tasks)).expect("the file is whole");
    assert_eq!(read.tasks.iter().collect::<Vec<_>>(), rows);
}
