//! Profiles for the Firefox Profiler, read back: valid whatever the snapshot says, and with its sums.

use std::collections::BTreeMap;
use std::path::Path;

use diag_analysis::export;
use diag_snapshot::{NameRow, SampleRow, Snapshot, StackIndex, file};
use diag_test_support::iothub;
use serde_json::Value;

/// What a value of a column may be.
#[derive(Clone, Copy)]
enum Of {
    /// A row of this table, or null if it may be.
    Row(&'static str, bool),
    Number,
    Bool,
    /// A number or null.
    Known,
}

/// The columns that version 48 demands, by table of a thread.
const COLUMNS: [(&str, &[(&str, Of)]); 8] = [
    (
        "funcTable",
        &[
            ("name", Of::Row("stringArray", false)),
            ("fileName", Of::Row("stringArray", true)),
            ("isJS", Of::Bool),
            ("relevantForJS", Of::Bool),
            ("resource", Of::Number),
            ("lineNumber", Of::Known),
            ("columnNumber", Of::Known),
        ],
    ),
    (
        "frameTable",
        &[
            ("func", Of::Row("funcTable", false)),
            ("address", Of::Number),
            ("inlineDepth", Of::Number),
            ("category", Of::Known),
            ("subcategory", Of::Known),
            ("nativeSymbol", Of::Row("nativeSymbols", true)),
            ("innerWindowID", Of::Known),
            ("implementation", Of::Known),
            ("line", Of::Known),
            ("column", Of::Known),
        ],
    ),
    (
        "stackTable",
        &[
            ("frame", Of::Row("frameTable", false)),
            ("prefix", Of::Row("stackTable", true)),
            ("category", Of::Number),
            ("subcategory", Of::Number),
        ],
    ),
    (
        "nativeAllocations",
        &[("time", Of::Number), ("weight", Of::Number), ("stack", Of::Row("stackTable", true))],
    ),
    ("samples", &[("stack", Of::Row("stackTable", true)), ("time", Of::Number), ("eventDelay", Of::Known)]),
    (
        "markers",
        &[
            ("data", Of::Known),
            ("name", Of::Row("stringArray", false)),
            ("startTime", Of::Known),
            ("endTime", Of::Known),
            ("phase", Of::Number),
            ("category", Of::Number),
        ],
    ),
    ("resourceTable", &[("lib", Of::Known), ("name", Of::Number), ("host", Of::Known), ("type", Of::Number)]),
    (
        "nativeSymbols",
        &[
            ("libIndex", Of::Number),
            ("address", Of::Number),
            ("name", Of::Number),
            ("functionSize", Of::Known),
        ],
    ),
];

const META: [&str; 9] = [
    "interval",
    "startTime",
    "processType",
    "product",
    "stackwalk",
    "version",
    "preprocessedProfileVersion",
    "markerSchema",
    "categories",
];
const THREAD: [&str; 12] = [
    "name",
    "isMainThread",
    "processType",
    "processStartupTime",
    "processShutdownTime",
    "registerTime",
    "unregisterTime",
    "pausedRanges",
    "pid",
    "tid",
    "stringArray",
    "nativeAllocations",
];

fn exported(snapshot: &Snapshot, format: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let format = export::by_name(format).expect("it is there");
    format.export(&snapshot.clone().into(), &mut bytes).expect("memory takes it");
    bytes
}

fn column<'a>(table: &'a Value, name: &str) -> &'a Vec<Value> {
    table[name].as_array().unwrap_or_else(|| panic!("no column {name}"))
}

fn rows(thread: &Value, table: &str) -> u64 {
    match &thread[table] {
        Value::Array(strings) => strings.len() as u64,
        table => table["length"].as_u64().expect("a length"),
    }
}

/// What the format demands of a file.
fn check(file: &Value) {
    for (object, keys) in [(&file["meta"], &META[..]), (&file["threads"][0], &THREAD[..])] {
        let object = object.as_object().expect("an object");
        keys.iter().for_each(|key| assert!(object.contains_key(*key), "{key} is missing"));
    }
    assert!(file["libs"].is_array() && file["meta"]["categories"][0]["color"] == "grey");
    assert_eq!(file["meta"]["preprocessedProfileVersion"], 48);
    let thread = &file["threads"][0];
    assert!(thread["pid"].is_string() && thread["nativeAllocations"]["weightType"] == "bytes");
    assert!(thread["stringArray"].as_array().expect("strings").iter().all(Value::is_string));
    for (table, columns) in COLUMNS {
        for (name, of) in columns {
            let column = column(&thread[table], name);
            assert_eq!(column.len() as u64, rows(thread, table), "{table}.{name}");
            for (row, value) in column.iter().enumerate() {
                let is_right = match of {
                    Of::Row(to, may_be_none) => {
                        let is_before = |at| *to != table || at < row as u64;
                        (*may_be_none && value.is_null())
                            || value.as_u64().is_some_and(|at| at < rows(thread, to) && is_before(at))
                    }
                    Of::Number => value.is_number(),
                    Of::Bool => value.is_boolean(),
                    Of::Known => value.is_number() || value.is_null(),
                };
                assert!(is_right, "{table}.{name}[{row}] is {value}");
            }
        }
    }
}

/// The stacks, outermost function first, with their bytes; whatever the format forbids panics.
fn read(snapshot: &Snapshot) -> Vec<(Vec<String>, u64)> {
    let file: Value = serde_json::from_slice(&exported(snapshot, "firefox")).expect("JSON");
    check(&file);
    let thread = &file["threads"][0];
    let index = |value: &Value| value.as_u64().map(|index| index as usize);
    let allocations = &thread["nativeAllocations"];
    let of = column(allocations, "stack").iter().zip(column(allocations, "weight"));
    of.map(|(stack, weight)| {
        let (mut functions, mut next) = (Vec::new(), index(stack));
        while let Some(stack) = next {
            let frame = index(&column(&thread["stackTable"], "frame")[stack]).expect("a frame");
            let function = index(&column(&thread["frameTable"], "func")[frame]).expect("a function");
            let name = index(&column(&thread["funcTable"], "name")[function]).expect("a name");
            functions.insert(0, thread["stringArray"][name].as_str().expect("text").to_owned());
            next = index(&column(&thread["stackTable"], "prefix")[stack]);
        }
        (functions, weight.as_u64().expect("bytes"))
    })
    .collect()
}

#[test]
fn the_stacks_and_bytes_are_those_of_the_other_format() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots/v1.4.diag");
    for snapshot in [file::read(&golden).expect("readable").0, iothub::service(500, 300)] {
        let mut bytes_of: BTreeMap<String, u64> = BTreeMap::new();
        for (stack, bytes) in read(&snapshot) {
            *bytes_of.entry(stack.join(";")).or_default() += bytes;
        }
        let collapsed = String::from_utf8(exported(&snapshot, "collapsed")).expect("text");
        assert!(!bytes_of.is_empty() && collapsed.lines().count() == bytes_of.len());
        for line in collapsed.lines() {
            let (stack, bytes) = line.rsplit_once(' ').expect("a number");
            let bytes: u64 = bytes.parse().expect("a number");
            // Each stack is rounded by itself.
            assert!(bytes.abs_diff(bytes_of[stack]) <= 100, "{line}: {}", bytes_of[stack]);
        }
    }
}

#[test]
fn a_snapshot_that_lies_still_makes_a_valid_file() {
    let mut snapshot = iothub::service(20, 20);
    let hostile = snapshot.strings.intern("a\";\\\n\u{1b}[31m\u{2028}");
    let names: Vec<NameRow> = snapshot.stacks.names.iter().collect();
    snapshot.stacks.names = names.into_iter().map(|row| NameRow { function: hostile, ..row }).collect();
    let heap = snapshot.heap.as_mut().expect("a heap");
    let mut sample = heap.samples.get(19).expect("the last one");
    for (size_bytes, rate_bytes) in [(0, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        sample.birth += 1;
        heap.samples.push(SampleRow { size_bytes, rate_bytes, stack: StackIndex(u32::MAX), ..sample });
    }
    snapshot.process.service = "\"\n".to_owned();
    let stacks = read(&snapshot);
    let mut functions = stacks.iter().flat_map(|(stack, _)| stack);
    assert!(functions.any(|name| name == "a\";\\\n\u{1b}[31m\u{2028}"), "{stacks:?}");
    assert!(read(&Snapshot::default()).is_empty());
}

#[test]
#[should_panic(expected = "stackTable.frame[0] is 9999")]
fn a_row_that_is_not_there_is_found() {
    let mut file: Value =
        serde_json::from_slice(&exported(&iothub::service(20, 20), "firefox")).expect("JSON");
    file["threads"][0]["stackTable"]["frame"][0] = 9_999.into();
    check(&file);
}
