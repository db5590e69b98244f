//! Where last snapshots lie: beside the series, under names that no series counts.
//!
//! `SERVICE-PID-START-last-TRIGGER.diag` is the latest of its trigger and process; the process is told by its start as
//! well, since in a container each has the same number. `SERVICE-day-YYYY-MM-DD.diag` is the first of a day.

use std::fs;
use std::path::{Path, PathBuf};

use diag_snapshot::Date;

use crate::files;

/// So many files of other processes stay.
const KEPT_LAST: usize = 16;
/// So many days do.
const KEPT_DAYS: usize = 8;

pub(super) struct LastFolder {
    pub(super) dir: PathBuf,
    /// The service, as a file's name can have it.
    service: String,
    pid: u32,
    start_unix_ms: u64,
}

impl LastFolder {
    pub(super) fn new(dir: &Path, service: &str, pid: u32, start_unix_ms: u64) -> Self {
        LastFolder { dir: dir.to_owned(), service: files::name_part(service), pid, start_unix_ms }
    }

    pub(super) fn last(&self, trigger: &str) -> PathBuf {
        let LastFolder { dir, service, pid, start_unix_ms } = self;
        dir.join(format!("{service}-{pid}-{start_unix_ms:013}-last-{trigger}.diag"))
    }

    pub(super) fn day(&self, date: Date) -> PathBuf {
        self.dir.join(format!("{}-day-{date}.diag", self.service))
    }

    /// Removes the oldest of other processes and days, beyond those that stay.
    pub(super) fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let (mut last, mut days) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| self.of_service(name)) else { continue };
            if let Some(start) = start_of(rest).filter(|start| *start != self.start_unix_ms) {
                last.push((start, entry.path()));
            } else if rest.starts_with("day-") {
                days.push((rest.to_owned(), entry.path()));
            }
        }
        remove_oldest(last, KEPT_LAST);
        remove_oldest(days, KEPT_DAYS);
    }

    fn of_service<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.service)?.strip_prefix('-')?.strip_suffix(".diag")
    }
}

/// The start of the process in the name of a last snapshot.
fn start_of(rest: &str) -> Option<u64> {
    let (pid, rest) = rest.split_once('-')?;
    let (start, rest) = rest.split_once('-')?;
    pid.parse::<u32>().ok()?;
    rest.strip_prefix("last-")?;
    start.parse().ok()
}

fn remove_oldest<T: Ord>(mut files: Vec<(T, PathBuf)>, keep: usize) {
    files.sort();
    let surplus = files.len().saturating_sub(keep);
    for (_, gone) in files.drain(..surplus) {
        // What cannot be removed stays.
        let _ = fs::remove_file(gone);
    }
}

#[cfg(test)]
mod tests {
    use diag_test_support::folder::Folder;

    use super::*;

    #[test]
    fn others_give_way_by_age_and_the_series_is_left_alone() {
        let folder = Folder::new("last");
        let own = LastFolder::new(&folder, "or/ders", 7, 100);
        let put = |path: PathBuf| fs::write(path, "bytes").expect("a file");
        put(own.last("limit"));
        for start in 200..200 + KEPT_LAST as u64 + 2 {
            put(LastFolder::new(&folder, "or/ders", 7, start).last("limit"));
        }
        for day in 1..=KEPT_DAYS as u64 + 3 {
            put(own.day(Date::at(day * 86_400)));
        }
        let others =
            ["or_ders-7-0000000000001.diag", "orders-7-1-last-limit.diag", "or_ders-x-1-last-limit.diag"];
        others.iter().for_each(|name| put(folder.join(name)));
        own.prune();
        let names = folder.names();
        assert!(names.contains(&"or_ders-7-0000000000100-last-limit.diag".to_owned()), "the own: {names:?}");
        assert!(others.iter().all(|name| names.iter().any(|there| there == name)), "{names:?}");
        assert_eq!(names.len(), 1 + KEPT_LAST + KEPT_DAYS + others.len());
        assert!(!names.iter().any(|name| name.contains("-0000000000201-")), "the oldest has gone: {names:?}");
        assert!(names.contains(&"or_ders-day-1970-01-12.diag".to_owned()), "{names:?}");
    }
}
