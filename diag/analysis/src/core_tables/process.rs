//! What a core tells of its process, when what was, and what it does not tell.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;

use diag_snapshot::Process;
use diag_symbols::CoreFile;

use super::census::Census;
use super::layout::Layout;
use super::memory::Memory;
use super::tasks::Found;

/// Counters that are followed at the most.
const MAX_COUNTERS: usize = 1_024;

/// The anchor of all times.
pub(super) struct Clock {
    start_ns: u64,
}

impl Clock {
    /// That of the process; where nobody had asked for it, it began with its first task.
    pub(super) fn new(layout: &Layout, found: &Found) -> Self {
        let start_ns = match layout.fact("start_ns") {
            0 => found.oldest_ns(),
            known => known,
        };
        Clock { start_ns }
    }

    /// A stamp as microseconds since the start.
    pub(super) fn us(&self, stamp_ns: u64) -> u64 {
        stamp_ns.saturating_sub(self.start_ns) / 1_000
    }
}

/// What is not in the snapshot: how often, and in a sentence.
#[derive(Default)]
pub(super) struct Notes(BTreeMap<String, (u64, String)>);

/// What no core tells.
const NOT_READ: [(&str, &str); 3] = [
    (
        "core_system",
        "it was read out of a core: what the kernel tells of a running process is not known, as its memory by kind, its descriptors, \
         what its sockets are connected to, names of threads and stacks of polls that held them up",
    ),
    (
        "core_runtimes",
        "it was read out of a core: how many tasks a runtime counts, and how busy its workers are, only a running one tells",
    ),
    (
        "core_time",
        "it was read out of a core: the time of the snapshot is that of the last thing which was recorded, so what is \
         idle may be idle for longer",
    ),
];

impl Notes {
    /// Those of the recorder itself, and what no core tells.
    pub(super) fn of(memory: &Memory<'_>, layout: &Layout) -> Self {
        let mut notes = Notes::default();
        NOT_READ.iter().for_each(|(name, sentence)| notes.add(name, sentence, 1));
        notes.add(
            "core_cut_short",
            "a byte that was to be in the core is not: what lay there is missing",
            memory.missing_bytes(),
        );
        notes.read(memory, layout);
        notes
    }

    fn read(&mut self, memory: &Memory<'_>, layout: &Layout) {
        let table = layout.table("dropped");
        let [name, sentence, times, older] =
            ["name", "sentence", "times", "older"].map(|name| table.column(name));
        let mut address = memory.word(table.start).unwrap_or(0);
        for _ in 0..MAX_COUNTERS {
            let Some(record) = table.at(memory, address) else { return };
            let said = memory.text(name.nth(record, 0), name.nth(record, 1));
            if let Some(name) = said {
                let sentence = memory.text(sentence.nth(record, 0), sentence.nth(record, 1));
                self.add(&name, &sentence.unwrap_or_default(), times.of(record));
            }
            address = older.of(record);
        }
    }

    /// What the census does not tell.
    pub(super) fn add_census(&mut self, census: &Census<'_>) {
        if !census.is_learnt && census.has_blocks {
            let sentence = "it was read out of a core: tasks of libraries, sockets and channels are not known, as the \
                            service had never been asked for a snapshot, which is when it learns what they look like";
            self.add("core_census", sentence, 1);
        }
    }

    /// So many tasks are left out.
    pub(super) fn add_inherited(&mut self, tasks: u64) {
        let sentence = "a task is left out that the process has from before it was forked";
        self.add("tasks_of_parent_process", sentence, tasks);
    }

    /// It happened so many times more.
    pub(super) fn add(&mut self, name: &str, sentence: &str, times: u64) {
        if times > 0 {
            let (sum, _) = self.0.entry(name.to_owned()).or_insert_with(|| (0, sentence.to_owned()));
            *sum = sum.saturating_add(times);
        }
    }

    /// How often this happened.
    pub(super) fn times(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |(times, _)| *times)
    }

    /// As a snapshot has them.
    pub(super) fn into_maps(self) -> (BTreeMap<String, u64>, BTreeMap<String, String>) {
        self.0.into_iter().map(|(name, (times, sentence))| ((name.clone(), times), (name, sentence))).unzip()
    }
}

/// Facts that did not change while the process lived.
pub(super) fn facts(core: &CoreFile, memory: &Memory<'_>, layout: &Layout) -> Process {
    // The kernel maps the executable first.
    let exe = memory.modules.first().map(|module| module.path.clone());
    let file_name = || Some(Path::new(exe.as_deref()?).file_name()?.to_string_lossy().into_owned());
    let service = layout.table("service").text(memory).or_else(file_name);
    let (pid, started_unix_us) = (core.pid().unwrap_or(0), layout.fact("start_unix_us"));
    let instance = match layout.fact("instance") {
        0 => BuildHasherDefault::<DefaultHasher>::new().hash_one((started_unix_us, pid)),
        known => known,
    };
    Process {
        service: service.unwrap_or_else(|| "unnamed".to_owned()),
        instance,
        pid,
        host: layout.table("host").text(memory).filter(|host| !host.is_empty()),
        exe,
        target: "x86_64-linux".to_owned(),
        diag_version: layout.diag_version.clone(),
        debug_build: layout.fact("debug_build") != 0,
        started_unix_us,
        resource_attributes: attributes(&layout.table("attributes").text(memory).unwrap_or_default()),
        build_id: None,
    }
}

/// From keys and values, each with a zero behind it.
fn attributes(text: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> = text.split('\0').collect();
    words.as_chunks::<2>().0.iter().map(|[key, value]| ((*key).to_owned(), (*value).to_owned())).collect()
}
