//! What the system says of a process from outside, as a snapshot: one that links no diag has no tasks and no heap in it,
//! and the snapshot says so.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use diag_snapshot::{
    Capture, MappedFileRow, Process, Resident, Resources, Snapshot, Strings, Table, ThreadCpuRow,
};

/// So many files have a row each, as in snapshots of services.
const LISTED: usize = 64;
/// Of the counts in `stat`, on every Linux.
const TICKS_PER_SECOND: u64 = 100;
const TICK_NS: u64 = 1_000_000_000 / TICKS_PER_SECOND;
const TICK_US: u64 = 1_000_000 / TICKS_PER_SECOND;

/// What is said of each of these snapshots.
const NOT_LINKED: (&str, &str) =
    ("not_linked", "it was read from outside, as what the system tells: tasks and heap are not known");

/// How many mapped files such a snapshot lists.
pub(super) fn mapped_files(snapshot: &Snapshot) -> u64 {
    snapshot.mapped_files.len() as u64
}

/// The snapshot of the process of this id.
///
/// # Errors
/// If there is no such process. What may not be read of it is absent.
pub(super) fn snapshot(pid: u32) -> io::Result<Snapshot> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let stat = read("stat")?;
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let name = exe.as_ref().and_then(|exe| exe.file_name()).map(|name| name.to_string_lossy().into_owned());
    let began_us = boot_unix_us().zip(ticks(&stat, START_TICKS)).map(|(boot, ticks)| boot + ticks * TICK_US);
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
    let started_unix_us = began_us.unwrap_or(now_us).min(now_us);
    let mut strings = Strings::default();
    let mappings = read("smaps").ok().map(|text| Mappings::of(&text));
    let (mapped_files, resident) =
        mappings.map(|mappings| (mappings.rows(&mut strings), mappings.resident())).unzip();
    let status = read("status").unwrap_or_default();
    let resources = Resources {
        rss_bytes: kib(&status, "VmRSS:"),
        threads: number(&status, "Threads:"),
        cpu_user_ns: ticks(&stat, USER_TICKS).map(|ticks| ticks * TICK_NS),
        cpu_system_ns: ticks(&stat, SYSTEM_TICKS).map(|ticks| ticks * TICK_NS),
        open_fds: fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|open| open.count() as u64),
        resident,
        ..Resources::default()
    };
    let (what, sentence) = NOT_LINKED;
    Ok(Snapshot {
        process: Process {
            service: name.or_else(|| command(&stat)).unwrap_or_else(|| "unnamed".to_owned()),
            instance: BuildHasherDefault::<DefaultHasher>::new().hash_one((pid, ticks(&stat, START_TICKS))),
            pid,
            host: fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned()),
            exe: exe.map(|exe| exe.to_string_lossy().into_owned()),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            started_unix_us,
            ..Process::default()
        },
        capture: Capture {
            from_us: now_us - started_unix_us,
            to_us: now_us - started_unix_us,
            resources,
            dropped: [(what.to_owned(), 1)].into(),
            dropped_sentences: [(what.to_owned(), sentence.to_owned())].into(),
            ..Capture::default()
        },
        thread_cpu: threads(pid, &mut strings),
        mapped_files: mapped_files.unwrap_or_default(),
        strings,
        ..Snapshot::default()
    })
}

/// Places in `stat`, behind the name.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;

fn ticks(stat: &str, place: usize) -> Option<u64> {
    // The name is in parentheses, and may have some itself.
    stat.rsplit_once(") ")?.1.split(' ').nth(place)?.parse().ok()
}

fn command(stat: &str) -> Option<String> {
    Some(stat.rsplit_once(") ")?.0.split_once('(')?.1.to_owned())
}

fn boot_unix_us() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let seconds: u64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    seconds.checked_mul(1_000_000)
}

fn number(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

fn kib(text: &str, key: &str) -> Option<u64> {
    number(text, key)?.checked_mul(1 << 10)
}

fn threads(pid: u32, strings: &mut Strings) -> Table<ThreadCpuRow> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut ids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    let row = |tid: &u32| {
        let read = |name| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
        let name = read("comm").map(|name| strings.intern(name.trim_end()));
        let times: Vec<u64> = read("schedstat")
            .unwrap_or_default()
            .split(' ')
            .filter_map(|ns| ns.trim().parse().ok())
            .collect();
        let (cpu_ns, wait_ns) = (times.first().copied(), times.get(1).copied());
        ThreadCpuRow { tid: *tid, name, cpu_ns, wait_ns, ..ThreadCpuRow::default() }
    };
    ids.iter().map(row).collect()
}

/// What `smaps` tells, by file.
#[derive(Default)]
struct Mappings {
    files: BTreeMap<String, MappedFileRow>,
    anonymous_bytes: u64,
    swapped_bytes: u64,
    rss_bytes: u64,
    files_bytes: u64,
    stacks_bytes: u64,
    mappings: u64,
}

impl Mappings {
    fn of(text: &str) -> Self {
        let mut all = Mappings::default();
        let mut name = String::new();
        for line in text.lines() {
            match line.split_once(':').filter(|(key, _)| !key.contains(' ')) {
                Some((key, value)) => {
                    let kib = value.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
                    all.add(&name, key, kib.saturating_mul(1 << 10));
                }
                None => {
                    name = line.splitn(6, ' ').nth(5).unwrap_or_default().trim_start().to_owned();
                    all.mappings += 1;
                    if let Some(file) = all.file(&name) {
                        file.mappings += 1;
                    }
                }
            }
        }
        all
    }

    fn add(&mut self, name: &str, key: &str, bytes: u64) {
        match key {
            "Rss" => {
                self.rss_bytes += bytes;
                self.stacks_bytes += if name == "[stack]" { bytes } else { 0 };
            }
            "Anonymous" => self.anonymous_bytes += bytes,
            "Swap" => self.swapped_bytes += bytes,
            _ => {}
        }
        let Some(file) = self.file(name) else { return };
        match key {
            "Size" => file.mapped_bytes += bytes,
            "Rss" => {
                *file.resident_bytes.get_or_insert(0) += bytes;
                self.files_bytes += bytes;
            }
            "Private_Dirty" => *file.private_dirty_bytes.get_or_insert(0) += bytes,
            _ => {}
        }
    }

    fn file(&mut self, name: &str) -> Option<&mut MappedFileRow> {
        (name.starts_with('/')).then(|| self.files.entry(name.to_owned()).or_default())
    }

    fn resident(&self) -> Resident {
        Resident {
            rss_bytes: self.rss_bytes,
            files_bytes: self.files_bytes,
            stacks_bytes: self.stacks_bytes,
            anonymous_bytes: Some(self.anonymous_bytes),
            swapped_bytes: Some(self.swapped_bytes),
            mappings: Some(self.mappings),
            ..Resident::default()
        }
    }

    /// The largest files, and all others together.
    fn rows(&self, strings: &mut Strings) -> Table<MappedFileRow> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(_, row)| Reverse((row.resident_bytes, row.mapped_bytes)));
        let others = files.split_off(files.len().min(LISTED));
        let mut rows: Table<MappedFileRow> = Table::default();
        for (path, row) in files {
            let alive = path.strip_suffix(" (deleted)");
            let path = Some(strings.intern(alive.unwrap_or(path)));
            rows.push(MappedFileRow { path, is_deleted: alive.is_some(), files: 1, ..*row });
        }
        let sum = others.iter().fold(MappedFileRow::default(), |sum, (_, row)| MappedFileRow {
            files: sum.files + 1,
            mappings: sum.mappings + row.mappings,
            mapped_bytes: sum.mapped_bytes + row.mapped_bytes,
            resident_bytes: Some(sum.resident_bytes.unwrap_or(0) + row.resident_bytes.unwrap_or(0)),
            private_dirty_bytes: Some(
                sum.private_dirty_bytes.unwrap_or(0) + row.private_dirty_bytes.unwrap_or(0),
            ),
            ..sum
        });
        if sum.files > 0 {
            rows.push(sum);
        }
        rows
    }
}
