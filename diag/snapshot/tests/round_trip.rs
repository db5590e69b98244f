//! What is written is what is read, whatever the values are.

mod any;
mod support;

use std::collections::BTreeMap;

use any::snapshot;
use diag_snapshot::{Row, Snapshot, Table, TaskId, TaskRow, read, write};
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
    let service = support::service(3_000, 1_000);
    assert_eq!(read(&write(&service)), Ok((service, vec![])));
}

#[test]
fn tasks_are_written_in_order_and_once_and_the_rest_is_counted() {
    let ordered = support::service(5, 0);
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
    let tasks = Snapshot { tasks: plain, ..support::service(3, 0) };
    let (read, damage) = read(&write(&tasks)).expect("the file is whole");
    assert_eq!((read.tasks, damage), (tasks.tasks, vec![]));
}

#[test]
fn times_are_those_of_the_rows() {
    let tasks = support::service(500, 0).tasks;
    assert!(tasks.times().eq(tasks.iter().map(|task| task.times())));
    assert!(tasks.times().all(|task| Some(task.last_progress()) == task.last_poll));
}

#[test]
fn a_task_keeps_what_is_absent_absent() {
    let task = spawned(7);
    let zero =
        TaskRow { tokio_id: Some(0), last_poll_us: Some(0), wakers: Some(0), lost: Some(0), ..spawned(8) };
    let last = TaskRow { id: TaskId(9), ..task };
    let rows = [task, zero, last];
    let tasks = Snapshot { tasks: rows.into_iter().collect(), ..support::service(1, 0) };
    let (read, _) = read(&write(&tasks)).expect("the file is whole");
    assert_eq!(read.tasks.iter().collect::<Vec<_>>(), rows);
}
