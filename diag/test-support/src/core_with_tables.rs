//! The core of a service that never was, with tables of diag: a second writer of what the recorder lays down for readers of
//! cores. It knows no type of the recorder, and its records are laid out otherwise.

use crate::core_file::{CoreRegion, core_file};

/// Where its memory begins.
const START: u64 = 0x50_0000;
/// Columns that each table has room for.
const COLUMNS: usize = 10;
/// Bits of a task's state: it lives, and its wakers are counted.
const ALIVE: u64 = 1 << 23 | 1 << 24;
const HANDLE: u64 = 1 << 32;
/// The anchor of all times.
const START_NS: u64 = 1_000_000;

/// A service named `shop` with so many idle tasks, spawned at `src/main.rs:7:3`, whose tables are of this version.
pub fn core_with_tables(tasks: u64, version: u32) -> Vec<u8> {
    let mut memory = Memory(Vec::new());
    let [service, file, type_name] = ["shop", "src/main.rs", "shop::serve::{{closure}}"]
        .map(|text| (memory.put(text.as_bytes()), text.len() as u64));
    let site = memory.put(&words(&[1, file.0, file.1, 7, 3, type_name.0, type_name.1, 96, 0]));
    let places = memory.put(&words(&[0, site, 0]));
    let task = |id: u64| [id << 20 | 1, ALIVE + HANDLE, 2, START_NS + id * 1_000, START_NS + 5_000_000];
    let records: Vec<u8> = (1..=tasks).flat_map(|id| words(&task(id))).collect();
    let records = memory.put(&records);
    let word = |name, at: u32| (name, at * 8, 8, 1);
    let names = ["id", "file", "file_len", "line", "column", "type_name", "type_len", "bytes", "kind"];
    let site_columns: Vec<_> = (0..).zip(names).map(|(at, name)| word(name, at)).collect();
    let names = ["task", "state", "seq", "spawned_ns", "moved_ns"];
    let task_columns: Vec<_> = (0..).zip(names).map(|(at, name)| word(name, at)).collect();
    let tables = [
        table("tasks", 40, records, tasks, &task_columns),
        table("site_places", 8, places, 3, &[]),
        table("sites", 72, 0, 0, &site_columns),
        table("service", 1, service.0, service.1, &[]),
    ];
    let facts =
        [fact("start_ns", START_NS), fact("start_unix_us", 1_700_000_000_000_000), fact("instance", 9)];
    let own = START + memory.0.len() as u64;
    let mut layout = b"\x93diag tables\r\n\x1a\n".to_vec();
    layout.extend(own.to_le_bytes());
    for number in [version, facts.len() as u32, tables.len() as u32, COLUMNS as u32] {
        layout.extend(number.to_le_bytes());
    }
    layout.extend(padded("0.9.9", 16));
    layout.extend(facts.concat());
    layout.extend(tables.concat());
    memory.put(&layout);
    let (bytes, path) = (memory.0.len() as u64, Some("/usr/bin/shop".to_owned()));
    core_file(&[CoreRegion { start: START, bytes, flags: 6, path, content: memory.0 }])
}

/// Bytes that are written one behind the other, each at a word's address.
struct Memory(Vec<u8>);

impl Memory {
    /// Gives the address.
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.0.len();
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        START + at as u64
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn padded(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(len, 0);
    bytes
}

fn fact(name: &str, value: u64) -> Vec<u8> {
    [padded(name, 24), words(&[value])].concat()
}

/// The columns are name, place, width and count.
fn table(name: &str, stride: u32, start: u64, len: u64, columns: &[(&str, u32, u32, u32)]) -> Vec<u8> {
    let mut bytes = padded(name, 16);
    [stride, columns.len() as u32].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(words(&[start, len, 0]));
    for place in 0..COLUMNS {
        let (name, offset, width, count) = columns.get(place).copied().unwrap_or_default();
        bytes.extend(padded(name, 16));
        [offset, width, count].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    }
    bytes
}
