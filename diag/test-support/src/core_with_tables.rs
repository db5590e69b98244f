//! The core of a service that never was, with tables of diag: a second writer of what the recorder lays down for readers of
//! cores. It knows no type of the recorder, and its records are laid out otherwise.

use crate::core_file::{CoreRegion, core_file};

/// Where its memory begins.
const START: u64 = 0x50_0000;
/// Columns that each table has room for.
const COLUMNS: usize = 12;
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
    let mut tables: Vec<Vec<u8>> = tables.into();
    tables.extend(census(&mut memory));
    tables.extend(said(&mut memory));
    tables.extend(groups(&mut memory));
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
    let region =
        |start, bytes, flags, content| CoreRegion { start, bytes, flags, path: path.clone(), content };
    // Functions of a type of task: seven addresses of code, and three offsets in its cell.
    let functions: Vec<u64> = (0..7).map(|at| CODE + at * 16).chain([104, 32, 40, 0, 0]).collect();
    core_file(&[
        region(START, bytes, 6, memory.0),
        region(CONSTANTS, 4_096, 4, words(&functions)),
        region(CODE, 4_096, 5, Vec::new()),
    ])
}

/// Where functions lie, and what is never written.
const CODE: u64 = 0x60_0000;
const CONSTANTS: u64 = 0x61_0000;
/// A stack that is one.
const STACK: u64 = 3;

/// The cells of a task that lives and of one that has ended, a channel with two messages, and a socket; and what was learnt of such.
fn census(memory: &mut Memory) -> Vec<Vec<u8>> {
    // State, next in its queue, functions, owner, scheduler, id.
    let cell = |references: u64, id| {
        words(&[references << 6, 0, CONSTANTS, 9, 0x7000, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    let last = memory.put(&words(&[0; 4]));
    let mut channel = [0; 32];
    // Ends, the last block of messages and how many, received, senders.
    [(0, 2), (1, 1), (2, last), (3, 5), (4, 3), (5, 1)].iter().for_each(|&(at, word)| channel[at] = word);
    let mut put = |bytes: Vec<u8>| {
        memory.align(128);
        (memory.put(&bytes), bytes.len() as u64)
    };
    let ended = words(&[2 << 6 | 2 | 8, 0, CONSTANTS, 9, 0x7000, 78, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let blocks = [put(cell(2, 77)), put(ended), put(words(&channel)), put(words(&[0; 24]))];
    let entry = |(number, (address, bytes)): (u64, (u64, u64))| {
        // Of the last block the stack tells that it is a socket.
        let stack = if number == 3 { STACK + 1 } else { STACK };
        let stack = if number == 2 { 0 } else { stack };
        [
            address | 1,
            1_000 + number,
            bytes << 8 | 7,
            0,
            START_NS + number * 1_000,
            stack << 32 | 1,
            1 << 63 | (START_NS + 9_000),
        ]
    };
    let entries: Vec<u8> = (0..).zip(blocks).flat_map(|block| words(&entry(block))).collect();
    let entries = memory.put(&entries);
    let ranges = memory.put(&words(&[entries, 4, 1, 0]));
    let task_rule = memory.put(&words(&[16, 10, 0x7f, 8, 9, 7, 32, 24, u64::MAX]));
    let form = memory.put(&words(&[256, 32, 40, 48]));
    let tail = memory.put(&words(&[16]));
    let socket = memory.put(&words(&[192]));
    // Freed within a millisecond and within two, what they are, and who had them made.
    let counters =
        memory.put(&words(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1, 0, 2, 0, 2, 1 << 63 | 1]));
    // Of no stack there is nothing; those that are one have two frames each.
    let chunk = |frame| [1 << 32 | 1 << 31 | 2, 0, frame, frame + 8];
    let chunks: Vec<u8> = [[0; 4], [0; 4], [0; 4], chunk(CODE), chunk(CODE + 64)]
        .iter()
        .flat_map(|chunk| words(chunk))
        .collect();
    let chunks = memory.put(&chunks);
    let places = memory.put(&words(&[STACK, 0, STACK + 1]));
    let word = |(at, name): (u32, &'static str)| (name, at * 8, 8, 1);
    let columns = |names: &[&'static str]| (0..).zip(names.iter().copied()).map(word).collect::<Vec<_>>();
    let rule = columns(&[
        "table",
        "table_words",
        "code",
        "scheduler",
        "id",
        "trailer",
        "scheduler_at",
        "trailer_bytes",
        "true_bits",
    ]);
    let entry = columns(&["state", "birth", "shape", "origin", "born_ns", "place", "stamp"]);
    let counted = [("ages", 0, 8, 2), ("kind", 16, 8, 1), ("spawner", 24, 8, 1)];
    let mut forms =
        table("channel_forms", 32, form, 1, &columns(&["size", "received", "senders", "weak_senders"]));
    mark(&mut forms, tail);
    vec![
        table("census_ranges", 16, ranges, 2, &columns(&["start", "len"])),
        table("census", 56, 0, 0, &entry),
        table("census_stacks", 32, counters, 5, &counted),
        table("stacks", 32, chunks, 5, &[]),
        table("stack_places", 8, places, 3, &[]),
        table("task_rule", 72, task_rule, 1, &rule),
        forms,
        table("socket_rule", 8, socket, 1, &columns(&["size"])),
    ]
}

/// A gauge, a ratio, a runtime, a setting, and what is in use.
fn said(memory: &mut Memory) -> Vec<Vec<u8>> {
    let [gauge, tasks, main] =
        ["online", "serve", "main"].map(|text| (memory.put(text.as_bytes()), text.len() as u64));
    let gauge = memory.list(&[vec![gauge.0, gauge.1, u64::MAX - 6]]);
    let online = memory.put(b"online");
    let ratio = memory.list(&[vec![tasks.0, tasks.1, online, 6, 2_000_000, 100_000]]);
    let runtime = memory.list(&[vec![4, main.0, main.1, 2, 1, 0x7000]]);
    let process = memory.put(&words(&[4]));
    let settings = memory.put(b"DIAG\0on\0default\0DIAG_KEEP\x009\0code\0");
    let [lease, file] = ["lease", "src/pool.rs"].map(|text| (memory.put(text.as_bytes()), text.len() as u64));
    // Older, first, and two places or resources.
    let place = [0, lease.0, lease.1, file.0, file.1, 5, 9, 1, 2];
    let places = memory.put(&words(&[&[0, 0][..], &place, &[0; 9]].concat()));
    let open = [2_000, START_NS + 3_000, 2 << 20 | 1, START_NS, u64::MAX, 0, 1, 1];
    let open = memory.put(&words(&[&[0, 0][..], &open, &[0; 8]].concat()));
    let shards = memory.put(&words(&[open, places]));
    let word = |(at, name): (u32, &'static str)| (name, at * 8, 8, 1);
    let columns = |names: &[&'static str]| (0..).zip(names.iter().copied()).map(word).collect::<Vec<_>>();
    let chunk = |bytes| [word((0, "older")), word((1, "first")), ("records", 16, bytes, 2)];
    let place = [
        word((0, "kind")),
        ("name", 8, 8, 2),
        ("file", 24, 8, 2),
        word((5, "line")),
        word((6, "column")),
        ("ages", 56, 8, 2),
    ];
    vec![
        table("gauges", 32, gauge, 1, &[("name", 0, 8, 2), word((2, "value")), word((3, "older"))]),
        table(
            "expected_ratios",
            56,
            ratio,
            1,
            &[
                ("tasks", 0, 8, 2),
                ("gauge", 16, 8, 2),
                word((4, "ratio_ppm")),
                word((5, "tolerance_ppm")),
                word((6, "older")),
            ],
        ),
        table(
            "runtimes",
            56,
            runtime,
            1,
            &[
                word((0, "process")),
                ("name", 8, 8, 2),
                word((3, "workers")),
                ("handle", 32, 8, 2),
                word((6, "older")),
            ],
        ),
        table("process", 8, process, 1, &[]),
        table("settings", 1, settings, 34, &[]),
        table("resource_shards", 16, shards, 1, &columns(&["open", "places"])),
        table("open_chunks", 144, 0, 0, &chunk(64)),
        table(
            "open",
            64,
            0,
            0,
            &columns(&["id", "since_ns", "holder", "made_ns", "due_ns", "place", "made_at", "state"]),
        ),
        table("place_chunks", 160, 0, 0, &chunk(72)),
        table("places", 72, 0, 0, &place),
    ]
}

/// A group with a member that lives and one that has ended.
fn groups(memory: &mut Memory) -> Vec<Vec<u8>> {
    let [kind, file, name, part] =
        ["upload", "src/up.rs", "7.jpg", "one"].map(|text| (memory.put(text.as_bytes()), text.len() as u64));
    let site = memory.list(&[vec![kind.0, kind.1, file.0, file.1, 8, 1, 1, 0, 3]]);
    let address = memory.word(site);
    let polls = memory.put(&words(&[2 << 20 | 1, START_NS + 4_000]));
    let alive = [3_001, part.0, part.1, START_NS + 1_000, polls, 0, 0];
    let ended = [3_002, part.0, part.1, START_NS + 1_000, polls, 1, START_NS + 2_000];
    let members = memory.put(&words(&[&[0, 0][..], &alive, &ended].concat()));
    let group = memory.put(&words(&[
        3_000,
        address + 8,
        name.0,
        name.1,
        START_NS,
        members,
        2,
        1,
        0,
        0,
        1,
        START_NS + 4_000,
        part.0,
        part.1,
        1,
    ]));
    let places = memory.put(&words(&[0, 0, 3_000, group, 0, 0]));
    let shards = memory.put(&words(&[places]));
    let word = |(at, name): (u32, &'static str)| (name, at * 8, 8, 1);
    let columns = |names: &[&'static str]| (0..).zip(names.iter().copied()).map(word).collect::<Vec<_>>();
    let chunk = |bytes| [word((0, "older")), word((1, "first")), ("records", 16, bytes, 2)];
    let site_columns = [
        ("kind", 0, 8, 2),
        ("file", 16, 8, 2),
        word((4, "line")),
        word((5, "made")),
        word((6, "cancelled")),
        ("latencies", 56, 8, 2),
        word((9, "older")),
    ];
    let group_columns = [
        word((0, "id")),
        word((1, "site")),
        ("name", 16, 8, 2),
        word((4, "made_ns")),
        word((5, "members")),
        word((6, "joined")),
        ("counts", 56, 8, 3),
        word((10, "is_cancelled")),
        word((11, "cancelled_ns")),
        ("reason", 96, 8, 2),
        word((14, "aborted")),
    ];
    let member = [
        word((0, "id")),
        ("name", 8, 8, 2),
        word((3, "joined_ns")),
        word((4, "polls")),
        word((5, "state")),
        word((6, "ended_ns")),
    ];
    vec![
        table("group_sites", 80, site, 1, &site_columns),
        table("group_shards", 8, shards, 1, &columns(&["groups"])),
        table("group_chunks", 48, 0, 0, &chunk(16)),
        table("group_places", 16, 0, 0, &columns(&["id", "at"])),
        table("groups", 120, 0, 0, &group_columns),
        table("member_chunks", 128, 0, 0, &chunk(56)),
        table("members", 56, 0, 0, &member),
        table("member_polls", 16, 0, 0, &columns(&["task", "at_ns"])),
    ]
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

    /// What is put next has an address that is a multiple of so much.
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// Records each of which has the address of the one before it behind its words: where the address of the last lies.
    fn list(&mut self, records: &[Vec<u64>]) -> u64 {
        let mut older = 0;
        for record in records {
            older = self.put(&words(&[&record[..], &[older]].concat()));
        }
        self.put(&words(&[older]))
    }

    /// The word at an address.
    fn word(&self, address: u64) -> u64 {
        self.0[(address - START) as usize..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
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

/// The table has a word of its own at this address.
fn mark(table: &mut [u8], address: u64) {
    table[40..48].copy_from_slice(&address.to_le_bytes());
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
