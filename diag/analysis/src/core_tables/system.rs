//! What the system says of the process in its core: threads, and the files that were mapped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use diag_snapshot::{MappedFileRow, Resources, Strings, Table, ThreadCpuRow};
use diag_symbols::{CoreFile, CoreThread};

use super::layout::{Layout, word};
use super::memory::Memory;

/// As many as a live snapshot has at the most.
const MAX_THREADS: usize = 4_096;
/// So many files have a row each.
const LISTED: usize = 64;
/// What the kernel puts behind the path of a file that is gone.
const DELETED: &str = " (deleted)";

/// The threads of a core.
pub(super) struct Threads {
    all: Vec<CoreThread>,
    /// The one whose times are those of all, ended ones as well.
    first: Option<CoreThread>,
    /// Whoever writes a core may leave the times out.
    are_timed: bool,
}

impl Threads {
    pub(super) fn of(core: &CoreFile) -> Self {
        let mut all = core.threads();
        all.sort_by_key(|thread| thread.tid);
        all.dedup_by_key(|thread| thread.tid);
        let first = all.iter().find(|thread| Some(thread.tid) == core.pid()).copied();
        let are_timed = all.iter().any(|thread| thread.user_ns | thread.system_ns > 0);
        Threads { all, first, are_timed }
    }

    /// What the process had used.
    pub(super) fn resources(&self) -> Resources {
        let times = self.first.filter(|_| self.are_timed);
        Resources {
            threads: Some(self.all.len() as u64).filter(|&threads| threads > 0),
            cpu_user_ns: times.map(|thread| thread.user_ns),
            cpu_system_ns: times.map(|thread| thread.system_ns),
            ..Resources::default()
        }
    }

    /// A row for each, by ascending id. The first has no time of its own.
    pub(super) fn rows(&self, memory: &Memory<'_>, layout: &Layout) -> Table<ThreadCpuRow> {
        let own = layout.table("own_threads");
        let own: HashSet<u64> = own.records(memory).filter_map(|(_, mark)| word(mark)).collect();
        let process = layout.table("process").number(memory).unwrap_or(0);
        let row = |thread: &CoreThread| ThreadCpuRow {
            tid: thread.tid,
            cpu_ns: (self.are_timed && Some(*thread) != self.first)
                .then(|| thread.user_ns.saturating_add(thread.system_ns)),
            is_recorder: own.contains(&(process << 32 | u64::from(thread.tid))),
            ..ThreadCpuRow::default()
        };
        self.all.iter().take(MAX_THREADS).map(row).collect()
    }
}

/// The files that were mapped, the largest first: a row for each, and one for all beyond the most. What of them was resident is
/// not in a core.
pub(super) fn mapped_files(core: &CoreFile, strings: &mut Strings) -> Table<MappedFileRow> {
    let mut by_path: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for mapping in core.mappings() {
        let [mappings, bytes] = by_path.entry(mapping.path).or_default();
        *mappings += 1;
        *bytes = bytes.saturating_add(mapping.end.saturating_sub(mapping.start));
    }
    let mut files: Vec<(String, [u64; 2])> = by_path.into_iter().collect();
    files.sort_by_key(|(_, [_, bytes])| Reverse(*bytes));
    let others = files.split_off(files.len().min(LISTED));
    let row = |(path, [mappings, mapped_bytes]): (String, [u64; 2])| MappedFileRow {
        path: Some(strings.intern(path.strip_suffix(DELETED).unwrap_or(&path))),
        is_deleted: path.ends_with(DELETED),
        files: 1,
        mappings,
        mapped_bytes,
        ..MappedFileRow::default()
    };
    let mut rows: Table<MappedFileRow> = files.into_iter().map(row).collect();
    if !others.is_empty() {
        let sum = |of: fn(&[u64; 2]) -> u64| {
            others.iter().map(|(_, totals)| of(totals)).fold(0, u64::saturating_add)
        };
        rows.push(MappedFileRow {
            files: others.len() as u64,
            mappings: sum(|[mappings, _]| *mappings),
            mapped_bytes: sum(|[_, bytes]| *bytes),
            ..MappedFileRow::default()
        });
    }
    rows
}
