//! `testdata/snapshots/v1.diag` was written by the first version, `v1.1.diag` by version 1.1 and so on, and
//! all must be readable for ever.
//!
//! `DIAG_BLESS=1` rewrites the expected texts, and writes the newest file only if there is none. A new
//! version of the format gets a golden file beside these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diag_snapshot::format::MINOR;
use diag_snapshot::{
    CancelBy, Cause, Row, Snapshot, Table, TableVisitor, TaskId, TaskRow, TaskState, ZombieRow, file, read,
    write,
};
use diag_test_support::forge::Forge;
use diag_test_support::forge::tables::Values;
use diag_test_support::golden::{assert_golden, is_blessing};
use diag_test_support::{forge, iothub};
use serde_json::{Value as Json, json};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots").join(name)
}

/// A small service with something of everything, a name that tries to clear the screen included.
fn example() -> Snapshot {
    let mut snapshot = iothub::service(24, 24);
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
    // Something in every column there is.
    snapshot.tasks.push(TaskRow { id: TaskId(id.0 + 4), ..TaskRow::from_cells(|| 2) });
    let held = snapshot.zombies.iter().last().expect("three that are held");
    let id = TaskId(held.id.0 + 1);
    snapshot.zombies.push(ZombieRow { id, end_seen: Some(false), references: Some(2), ..held });
    snapshot.capture.cause = Some(Cause {
        trigger: "limit".to_owned(),
        source: "/sys/fs/cgroup/iothub.slice/memory.current".to_owned(),
        used_bytes: Some(830 << 20),
        limit_bytes: Some(1 << 30),
        gap_bytes: Some(194 << 20),
        bytes_per_second: Some(97 << 20),
        limit_in_ms: Some(2_000),
    });
    snapshot
}

/// Everything in the snapshot, a row a line and no word of what is absent: so a column more changes no text but that
/// of the files that have it.
fn model(snapshot: &Snapshot) -> String {
    let mut text = format!("{:#?}\n{:#?}\n", snapshot.process, snapshot.capture);
    text += &format!("{:#?}\n", snapshot.heap.as_ref().map(|heap| &heap.facts));
    text += &format!("strings\n{:#?}\n", snapshot.strings);
    let mut rows = Lines(text);
    snapshot.visit_tables(&mut rows);
    rows.0
}

struct Lines(String);

impl TableVisitor for Lines {
    fn visit<R: Row>(&mut self, table: &Table<R>) {
        self.0 += &format!("\n{}\n", R::TABLE.name);
        for row in table.iter() {
            let cells = row.to_cells();
            let values = R::TABLE.columns.iter().zip(cells.as_ref()).filter_map(|(column, &cell)| {
                let value = if column.optional { cell.checked_sub(1)? } else { cell };
                let word = column.codes.get(value as usize);
                Some(format!(
                    "{} {}",
                    column.name,
                    word.map_or(value.to_string(), |word| format!("{word:?}"))
                ))
            });
            self.0 += &(values.collect::<Vec<_>>().join(", ") + "\n");
        }
    }
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

/// What was written must be read, and nothing must be read that an older file does not say.
fn differing_facts(place: &str, read: &Json, written: &Json, all: &mut Vec<String>) {
    match (read, written) {
        (Json::Object(read), Json::Object(written)) => {
            for (name, written) in written {
                let read = read.get(name).unwrap_or(&Json::Null);
                differing_facts(&format!("{place}.{name}"), read, written, all);
            }
            let nothing = [json!(null), json!(0), json!(false), json!(""), json!([]), json!({})];
            let made_up =
                |(name, read): &(&String, &Json)| !written.contains_key(*name) && !nothing.contains(read);
            all.extend(read.iter().filter(made_up).map(|(name, _)| format!("{place}.{name}")));
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
    for place in ["strings", "facts.capture.runtimes[0].workers", "tasks.polls, row 28", "zombies.id, row 0"]
    {
        assert!(named.iter().any(|name| name == place), "{place}: {named:?}");
    }
    assert!(!named.iter().any(|name| name.starts_with("sites")), "{named:?}");
}

#[test]
fn the_files_of_every_version_are_read_as_ever() {
    let newest = testdata(&name(MINOR));
    if is_blessing() && !newest.exists() {
        file::write(&newest, &write(&example())).expect("testdata is writable");
    }
    for name in (0..=MINOR).map(name) {
        let path = testdata(&name);
        let (snapshot, damage) = file::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(damage, [], "{name}");
        assert_golden(path.with_extension("model.txt"), &model(&snapshot));
        let forge = Forge::open(&std::fs::read(&path).expect("it was read"));
        assert_eq!(differences(&snapshot, &forge), [""; 0], "{name}");
        for again in [forge::tables::encode_again(&forge).file(), write(&snapshot)] {
            assert_eq!(read(&again), Ok((snapshot.clone(), vec![])), "{name}");
        }
    }
}

/// The golden file of a version.
fn name(minor: u16) -> String {
    if minor == 0 { "v1.diag".to_owned() } else { format!("v1.{minor}.diag") }
}
