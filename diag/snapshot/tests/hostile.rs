//! Files that no diag of this version would write: newer ones, and ones made to hurt.

use diag_snapshot::format::{MAJOR, MAX_DECODED_BYTES, MINOR};
use diag_snapshot::{Damage, ReadError, Row, Snapshot, TaskRow, content_id, read, write};
use diag_test_support::forge::{Forge, table, varint};
use diag_test_support::{forge, iothub};

const PLAIN: u8 = 0;
const DELTA: u8 = 1;
const ASCENDING: u8 = 2;

fn small() -> (Snapshot, Forge) {
    let snapshot = iothub::service(20, 20);
    let forge = Forge::open(&write(&snapshot));
    (snapshot, forge)
}

/// A table section made to hurt: only its table is lost, for this reason.
fn check(section: &'static str, raw: Vec<u8>, expected: &str) {
    let (whole, mut forge) = small();
    *forge.section(section) = raw;
    let (partial, damage) = read(&forge.file()).expect("the facts are whole");
    let [Damage { section: named, what, .. }] = &damage[..] else { panic!("{damage:?}") };
    assert_eq!((*named, &what[..]), (section, expected));
    assert_eq!(partial.strings == whole.strings, section != "strings");
    assert_eq!(partial.heap.is_some(), !["stacks", "frames", "samples"].contains(&section));
}

#[test]
fn a_newer_minor_is_read_and_what_it_added_is_skipped() {
    let (snapshot, mut forge) = small();
    forge.minor = MINOR + 1;
    forge.sections.insert(1, ("mutexes".to_owned(), b"from the future".to_vec()));
    let lifetimes: Vec<_> = snapshot.lifetimes.columns().to_vec();
    let rows = snapshot.lifetimes.len();
    *forge.section("lifetimes") = table(
        rows as u64,
        &[
            ("median", 77, &vec![1; rows]),
            ("site", PLAIN, &lifetimes[0]),
            ("bucket", PLAIN, &lifetimes[1]),
            ("count", PLAIN, &lifetimes[2]),
        ],
    );
    let facts = forge.section("facts");
    facts.splice(1..1, *br#""weather":"rain","#);
    assert_eq!(read(&forge.file()), Ok((snapshot, vec![])));
}

#[test]
fn a_newer_major_is_an_error_that_names_the_version() {
    let (_, mut forge) = small();
    forge.major = MAJOR + 1;
    let file = forge.file();
    let error = read(&file).expect_err("another layout");
    assert_eq!(error, ReadError::TooNew { major: 2 });
    assert!(error.to_string().contains("written by a newer diag, needs version 2 of the format"), "{error}");
    assert_eq!(content_id(&file), None);
    forge.major = 0;
    assert!(matches!(read(&forge.file()), Err(ReadError::Damaged { section: "header", .. })));
}

#[test]
fn a_missing_section_is_damage_and_one_twice_too() {
    let (_, whole) = small();
    let later: Vec<_> = forge::tables::tables().into_iter().filter(|table| table.since > 0).collect();
    for (i, (name, raw)) in whole.sections.iter().enumerate().skip(1) {
        let mut without = whole.clone();
        without.sections.remove(i);
        let (_, damage) = read(&without.file()).expect("the facts are whole");
        let lost: Vec<String> = damage.iter().take(1).map(Damage::to_string).collect();
        match later.iter().any(|table| table.name == *name) {
            // Others point to it.
            true if ["resource_sites", "group_sites"].contains(&name.as_str()) => {
                assert!(lost[0].ends_with("row 0 points nowhere"), "{lost:?}")
            }
            true => assert_eq!(lost, [""; 0], "files of 1.0 do not have it"),
            false => assert_eq!(lost, [format!("{name} at byte 24: the section is missing")]),
        }
        let mut twice = whole.clone();
        twice.sections.push((name.clone(), raw.clone()));
        let (_, damage) = read(&twice.file()).expect("the facts are whole");
        assert_eq!(damage[0].to_string(), format!("{name} at byte 24: the section is there twice"));
    }
}

#[test]
fn a_missing_column_is_absent_or_damage() {
    let (_, mut forge) = small();
    *forge.section("modules") =
        table(1, &[("path", PLAIN, &[0]), ("base", PLAIN, &[7]), ("size_bytes", PLAIN, &[9])]);
    let (snapshot, damage) = read(&forge.file()).expect("the file is whole");
    let modules = snapshot.stacks.modules;
    assert_eq!((modules.get(0).expect("one row").build_id, damage), (None, vec![]));
    let without_base = table(1, &[("path", PLAIN, &[0]), ("size_bytes", PLAIN, &[9])]);
    check("lifetimes", table(0, &[("site", DELTA, &[])]), "column bucket: is missing");
    let (_, mut forge) = small();
    *forge.section("modules") = without_base;
    let (_, damage) = read(&forge.file()).expect("the facts are whole");
    assert_eq!(damage[0].what, "column base: is missing");
}

#[test]
fn a_task_cannot_be_there_twice() {
    let must = "column id: must be written as ascending, or it could hold a value twice";
    check("tasks", table(2, &[("id", PLAIN, &[5, 5])]), must);
    check("tasks", table(2, &[("id", DELTA, &[10, 0])]), must);
    check("tasks", table(2, &[("id", ASCENDING, &[u64::MAX, 0])]), "column id: row 1 does not fit 64 bits");
    check(
        "tasks",
        table(1, &[("id", ASCENDING, &[5]), ("id", ASCENDING, &[5])]),
        "column id: is there twice",
    );
}

#[test]
fn absurd_row_counts_cost_nothing() {
    let mut endless = Vec::new();
    varint(&mut endless, u64::MAX);
    varint(&mut endless, u64::MAX);
    check("ends", endless, "18446744073709551615 rows do not fit into 0 bytes");
    check("ends", table(5, &[("id", DELTA, &[2, 2, 2])]), "column id: 5 rows do not fit into 3 bytes");
    check("ends", table(2, &[("id", DELTA, &[2, 2, 2])]), "column id: 1 bytes after the last of 2 rows");
    check("ends", vec![], "its first two numbers are cut off");
    check("ends", vec![0, 9], "column 0 is cut off");
    check("strings", vec![0xff, 0xff, 3], "65535 strings do not fit into 0 bytes");
    check("strings", vec![1, 9, b'a'], "string 0 is cut off");
    check("strings", vec![1, 1, 0xff], "string 0 is not UTF-8");
    check("strings", vec![0, 1], "1 bytes after the last string");
}

#[test]
fn indices_that_point_nowhere_are_named() {
    let site = table(2, &[("site", PLAIN, &[0, 6]), ("bucket", PLAIN, &[0, 0]), ("count", PLAIN, &[1, 1])]);
    check("lifetimes", site, "column site: row 1 points nowhere");
    let module = table(1, &[("module", PLAIN, &[3]), ("offset", PLAIN, &[0])]);
    check("frames", module, "column module: row 0 points nowhere");
    let stack = table(1, &[("task", DELTA, &[2]), ("stack", PLAIN, &[99])]);
    check("parked", stack, "column stack: row 0 points nowhere");
    let stack = table(1, &[("tid", DELTA, &[2]), ("stack", PLAIN, &[99])]);
    check("threads", stack, "column stack: row 0 points nowhere");
}

#[test]
fn a_stack_cannot_call_itself() {
    for callers in [[1, 0, 0], [0, 2, 0], [0, 3, 2]] {
        let row = callers.iter().zip(0u64..).position(|(&caller, row)| caller > row).expect("a cycle");
        let raw = table(3, &[("caller", PLAIN, &callers), ("frame", PLAIN, &[0, 0, 0])]);
        check("stacks", raw, &format!("column caller: row {row} points nowhere"));
    }
}

#[test]
fn indices_into_a_lost_table_are_left_as_they_are() {
    let (whole, mut forge) = small();
    *forge.section("sites") = vec![];
    let (partial, damage) = read(&forge.file()).expect("the facts are whole");
    assert_eq!((damage.len(), partial.tasks), (1, whole.tasks));
    assert_eq!(partial.heap, whole.heap);
}

#[test]
fn a_decompression_bomb_is_refused_before_it_unpacks() {
    let (_, whole) = small();
    let zeros = deflated(1 << 20);
    let claims = |raw: u64| {
        let sections = whole.sections.iter().map(|(name, raw_bytes)| match &name[..] {
            "tasks" => ("tasks", &zeros[..], raw),
            name => (name, &raw_bytes[..], raw_bytes.len() as u64),
        });
        let file = forge::file(MAJOR, MINOR, &sections.collect::<Vec<_>>());
        let (_, damage) = read(&file).expect("the facts are whole");
        damage[0].what.clone()
    };
    let (stored, limit) = (zeros.len(), MAX_DECODED_BYTES);
    assert_eq!(claims(1 << 20), "1048574 bytes after the last column");
    assert_eq!(claims(limit), format!("{stored} bytes cannot unpack to the {limit} that it claims"));
    assert_eq!(claims(1 << 19), "does not end with the 524288 bytes that it claims");
    assert_eq!(claims((1 << 20) + 1), "unpacks to 1048576 bytes and not to the 1048577 that it claims");
}

/// Many sections that unpack to much each: a row of zeros costs a byte there, and 8 a column in memory.
#[test]
fn what_a_file_unpacks_to_is_limited_in_all() {
    let (_, mut forge) = small();
    let row_bytes = 8 * TaskRow::TABLE.columns.len() as u64;
    let rows = MAX_DECODED_BYTES / row_bytes + 1;
    let mut raw = table(rows, &[]);
    raw.resize(rows as usize + 16, 0);
    *forge.section("tasks") = raw;
    let (_, damage) = read(&forge.file()).expect("the facts are whole");
    let claim = rows * row_bytes;
    let expected =
        format!("it would unpack to {claim} bytes, and a file may unpack to {MAX_DECODED_BYTES} in all");
    assert_eq!(damage[0].what, expected);
}

#[test]
fn facts_that_are_no_facts_are_an_error() {
    let (_, mut forge) = small();
    *forge.section("facts") = b"[[[[".to_vec();
    let error = read(&forge.file()).expect_err("nothing is known").to_string();
    assert!(error.contains("not the JSON of the facts") && error.ends_with("take a new snapshot"), "{error}");
}

#[test]
fn a_content_id_is_that_of_the_content() {
    let file = write(&iothub::service(20, 20));
    let id = content_id(&file).expect("a snapshot");
    assert_eq!(content_id(&write(&iothub::service(20, 20))), Some(id));
    assert_ne!(content_id(&write(&iothub::service(21, 20))), Some(id));
    assert_eq!((id.to_string().len(), id.to_string().starts_with(&id.short())), (32, true));
    assert_eq!(content_id(&file[..100]), None);
}

fn deflated(zeros: usize) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; zeros]).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}
