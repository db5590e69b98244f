//! `testdata/snapshots/v1.diag` was written by the first version and must be readable for ever.
//!
//! `DIAG_BLESS=1` rewrites the expected texts, and the file only if there is none. A new version of
//! the format gets a golden file beside this one.

mod support;

use std::path::{Path, PathBuf};

use diag_snapshot::{Row, Snapshot, Table, TaskId, TaskRow, TaskState, dump::dump, file, read, write};

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
    snapshot.tasks.push(TaskRow {
        id: TaskId(last.id.0 + 1),
        tokio_id: None,
        name,
        parent: None,
        parent_site: None,
        state: TaskState::NeverPolled,
        last_poll_us: None,
        polls: 0,
        busy_ns: 0,
        longest_poll_ns: 0,
        ..last
    });
    snapshot
}

/// Everything in the snapshot, a row a line.
fn model(snapshot: &Snapshot) -> String {
    let mut text = format!("{:#?}\n{:#?}\n", snapshot.process, snapshot.capture);
    text += &format!("strings\n{:#?}\n", snapshot.strings);
    text += &rows(&snapshot.sites);
    text += &rows(&snapshot.lifetimes);
    text += &rows(&snapshot.tasks);
    text += &rows(&snapshot.ends);
    let heap = snapshot.heap.as_ref().expect("it samples its heap");
    text += &format!("{:#?}\n", heap.facts);
    text += &rows(&heap.samples);
    text += &rows(&heap.stacks);
    text += &rows(&heap.frames);
    text += &rows(&heap.names);
    text + &rows(&heap.modules)
}

fn rows<R: Row + std::fmt::Debug>(table: &Table<R>) -> String {
    let rows = table.iter().map(|row| format!("{row:?}\n"));
    std::iter::once(format!("{}\n", R::TABLE)).chain(rows).collect()
}

#[test]
fn the_golden_file_reads_as_ever() {
    let path = testdata("v1.diag");
    if bless() && !path.exists() {
        file::write(&path, &write(&example())).expect("testdata is writable");
    }
    let (snapshot, damage) = file::read(&path).expect("readable for ever");
    assert_eq!(damage, []);
    check("v1.dump.txt", &dump(&snapshot));
    check("v1.model.txt", &model(&snapshot));
    assert_eq!(read(&write(&snapshot)), Ok((snapshot, vec![])));
}
