//! `testdata/snapshots/v1.diag` was written by the first version, `v1.1.diag` by version 1.1 and so on, and
//! all must be readable for ever.
//!
//! `DIAG_BLESS=1` rewrites the expected texts, and writes the newest file only if there is none. A new
//! version of the format gets a golden file beside these.

mod forge;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diag_snapshot::{
    CancelBy, Row, Snapshot, Table, TableVisitor, TaskId, TaskRow, TaskState, file, read, write,
};
use forge::Forge;
use forge::tables::Values;
use serde_json::{Value as Json, json};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots").join(name)
}

fn bless() -> bool {
    std::env::var_os("DIAG_BLESS").is_some_and(|value| value == "1")
}

/// Compares `actual` with the file `name`, or rewrites that.
fn check(name: &str, actual: &str) {
    let path = testdata(name);
    if bless() {
        std::fs::write(&path, actual).expect("testdata is writable");
    }
    let expected = std::fs::read_to_string(&path).expect("the expected text is there");
    assert_eq!(actual, expected, "{name} differs; DIAG_BLESS=1 rewrites it");
}

/// A small service with something of everything, a name that tries to clear the screen included.
fn example() -> Snapshot {
    let mut snapshot = support::service(24, 24);
    let name = Some(snapshot.strings.intern("conn \"17\"\u{1b}[2J\u{202e}"));
    let last = snapshot.tasks.iter().last().expect("24 tasks");
    let id = TaskId(last.id.0 + 1);
    snapshot.tasks.push(TaskRow {
        id,
        name,
        site: last.site,
        spawned_us: last.spawned_us,
        ..TaskRow::default()
    });
    let lost = TaskRow {
        wakers: Some(0),
        lost: Some(2),
        displaced_by: Some(last.id),
        displaced_by_site: Some(last.site),
        state: TaskState::Idle,
        ..last
    };
    snapshot.tasks.push(TaskRow { id: TaskId(id.0 + 1), ..lost });
    let asked = TaskRow { cancel_us: Some(last.spawned_us), cancel_by: Some(CancelBy::Abort), ..last };
    snapshot.tasks.push(TaskRow {
        id: TaskId(id.0 + 2),
        state: TaskState::Polling,
        thread: Some(9),
        ..asked
    });
    snapshot.tasks.push(TaskRow { id: TaskId(id.0 + 3), state: TaskState::Woken, ..last });
    snapshot
}

/// Everything in the snapshot, a row a line.
fn model(snapshot: &Snapshot) -> String {
    let mut text = format!("{:#?}\n{:#?}\n", snapshot.process, snapshot.capture);
    text += &format!("strings\n{:#?}\n", snapshot.strings);
    text += &rows(&snapshot.sites);
    text += &rows(&snapshot.lifetimes);
    text += &rows(&snapshot.poll_times);
    text += &rows(&snapshot.poll_delays);
    text += &rows(&snapshot.tasks);
    text += &rows(&snapshot.ends);
    text += &rows(&snapshot.zombies);
    text += &rows(&snapshot.parked);
    text += &rows(&snapshot.threads);
    let heap = snapshot.heap.as_ref().expect("it samples its heap");
    text += &format!("{:#?}\n", heap.facts);
    text += &rows(&heap.samples);
    text += &rows(&heap.stack_totals);
    text += &rows(&heap.stack_ages);
    text += &rows(&heap.site_totals);
    text += &rows(&heap.site_ages);
    let stacks = &snapshot.stacks;
    text += &rows(&stacks.stacks);
    text += &rows(&stacks.frames);
    text += &rows(&stacks.names);
    text + &rows(&stacks.modules)
}

fn rows<R: Row>(table: &Table<R>) -> String {
    let rows = table.iter().map(|row| format!("{row:?}\n"));
    std::iter::once(format!("{}\n", R::TABLE.name)).chain(rows).collect()
}

/// Where a snapshot says something else than the file that it was read from, as the reference reader takes that.
fn differences(snapshot: &Snapshot, forge: &Forge) -> Vec<String> {
    let written = forge::tables::open(forge);
    let mut read = ReadValues::default();
    snapshot.visit_tables(&mut read);
    let mut all = Vec::new();
    for (table, columns) in &read.0 {
        for (column, read) in columns {
            // A table that an older file does not have is read as an empty one.
            let written = written.get(table).map_or(&[][..], |columns| &columns[column]);
            let differ = (0..read.len().max(written.len())).filter(|&row| read.get(row) != written.get(row));
            all.extend(differ.map(|row| format!("{table}.{column}, row {row}")));
        }
    }
    all.extend(written.keys().filter(|table| !read.0.contains_key(*table)).cloned());
    if !snapshot.strings.iter().eq(forge::tables::strings(forge)) {
        all.push("strings".to_owned());
    }
    let facts: Json = serde_json::from_slice(forge.raw("facts")).expect("they are JSON");
    let heap = snapshot.heap.as_ref().map(|heap| &heap.facts);
    let read = json!({ "process": snapshot.process, "capture": snapshot.capture, "heap": heap });
    differing_facts("facts", &read, &facts, &mut all);
    all
}

/// The values of all rows, by table and column.
#[derive(Default)]
struct ReadValues(BTreeMap<String, Values>);

impl TableVisitor for ReadValues {
    fn visit<R: Row>(&mut self, table: &Table<R>) {
        let values = self.0.entry(R::TABLE.name.to_owned()).or_default();
        for (i, column) in R::TABLE.columns.iter().enumerate() {
            let cells = table.iter().map(|row| row.to_cells().as_ref()[i]);
            let value = |cell: u64| if column.optional { cell.checked_sub(1) } else { Some(cell) };
            values.insert(column.name.to_owned(), cells.map(value).collect());
        }
    }
}

/// What was written must be read; what an older file does not say has no place in it.
fn differing_facts(place: &str, read: &Json, written: &Json, all: &mut Vec<String>) {
    match (read, written) {
        (Json::Object(read), Json::Object(written)) => {
            for (name, written) in written {
                let read = read.get(name).unwrap_or(&Json::Null);
                differing_facts(&format!("{place}.{name}"), read, written, all);
            }
        }
        (Json::Array(read), Json::Array(written)) if read.len() == written.len() => {
            for (i, (read, written)) in read.iter().zip(written).enumerate() {
                differing_facts(&format!("{place}[{i}]"), read, written, all);
            }
        }
        (read, written) if read == written => {}
        _ => all.push(place.to_owned()),
    }
}

#[test]
fn a_value_that_is_read_wrongly_is_named() {
    let snapshot = example();
    let file = write(&snapshot);
    let forge = Forge::open(&file);
    assert_eq!(differences(&snapshot, &forge), [""; 0]);
    let mut wrong = snapshot.clone();
    wrong.capture.runtimes[0].workers += 1;
    wrong.strings.intern("a name more");
    wrong.tasks = snapshot.tasks.iter().map(|task| TaskRow { polls: task.polls + 1, ..task }).collect();
    wrong.zombies = snapshot.zombies.iter().skip(2).collect();
    let named = differences(&wrong, &forge);
    for place in ["strings", "facts.capture.runtimes[0].workers", "tasks.polls, row 27", "zombies.id, row 0"]
    {
        assert!(named.iter().any(|name| name == place), "{place}: {named:?}");
    }
    assert!(!named.iter().any(|name| name.starts_with("sites")), "{named:?}");
}

fn check_file(name: &str) -> Snapshot {
    let (snapshot, damage) = file::read(&testdata(&format!("{name}.diag"))).expect("readable for ever");
    assert_eq!(damage, []);
    check(&format!("{name}.model.txt"), &model(&snapshot));
    let forge = Forge::open(&std::fs::read(testdata(&format!("{name}.diag"))).expect("it was read"));
    assert_eq!(differences(&snapshot, &forge), [""; 0]);
    assert_eq!(read(&forge::tables::encode_again(&forge).file()), Ok((snapshot.clone(), vec![])));
    assert_eq!(read(&write(&snapshot)), Ok((snapshot.clone(), vec![])));
    snapshot
}

#[test]
fn the_file_of_1_0_reads_as_ever_and_has_nothing_of_1_1() {
    let snapshot = check_file("v1");
    let later = [snapshot.zombies.len(), snapshot.parked.len(), snapshot.threads.len()];
    assert_eq!((later, snapshot.poll_times.len(), snapshot.poll_delays.len()), ([0; 3], 0, 0));
    assert!(snapshot.tasks.iter().all(|task| task.wakers.is_none() && task.lost.is_none()));
}

#[test]
fn the_file_of_1_1_reads_as_ever_and_has_nothing_of_1_2() {
    let heap = check_file("v1.1").heap.expect("it samples its heap");
    assert_eq!([heap.stack_totals.len(), heap.site_totals.len()], [0; 2]);
    assert_eq!([heap.stack_ages.len(), heap.site_ages.len()], [0; 2]);
}

#[test]
fn the_file_of_1_2_reads_as_ever_and_has_nothing_of_1_3() {
    let heap = check_file("v1.2").heap.expect("it samples its heap");
    assert!(heap.samples.iter().all(|sample| sample.task_end.is_none()));
}

#[test]
fn the_file_of_1_3_reads_as_ever_and_has_nothing_of_1_4() {
    assert_eq!(check_file("v1.3").capture.resources.address_space, None);
}

#[test]
fn the_file_of_1_4_reads_as_ever() {
    let path = testdata("v1.4.diag");
    if bless() && !path.exists() {
        file::write(&path, &write(&example())).expect("testdata is writable");
    }
    check_file("v1.4");
}
