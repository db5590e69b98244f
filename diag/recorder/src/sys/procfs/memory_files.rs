//! The files that say how much memory is left, kept open: they are looked at many times a second, by a thread that must
//! not allocate where there may be none.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::cgroup_memory::{self, Names};
use super::pressure;

/// Enough for `memory.stat`, the longest.
const TEXT_BYTES: usize = 8 << 10;

/// A file of the kernel's whose text changes.
#[derive(Debug)]
pub(crate) struct KeptFile {
    file: File,
    pub(crate) path: String,
}

impl KeptFile {
    pub(crate) fn open(path: String) -> io::Result<Self> {
        Ok(KeptFile { file: File::open(&path)?, path })
    }

    /// What `read` makes of the text of now. Allocates nothing.
    fn read<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut bytes = [0; TEXT_BYTES];
        let mut len = 0;
        while let Some(room) = bytes.get_mut(len..).filter(|room| !room.is_empty()) {
            match self.file.read_at(room, len as u64).ok()? {
                0 => break,
                more => len += more,
            }
        }
        read(str::from_utf8(&bytes[..len]).ok()?)
    }

    fn number(&self) -> Option<u64> {
        self.read(|text| text.trim().parse().ok())
    }
}

/// The control group whose limit on memory binds this process.
#[derive(Debug)]
pub(crate) struct GroupFiles {
    limit: KeptFile,
    pub(crate) used: KeptFile,
    stat: Option<KeptFile>,
    pub(crate) events: Option<KeptFile>,
    names: &'static Names,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.limit)
    }
}

/// What a control group uses of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupMemory {
    /// Without what the kernel takes back before it kills.
    pub(crate) used_bytes: u64,
    pub(crate) limit_bytes: u64,
}

impl GroupFiles {
    /// The group with the smallest limit among `folders`; an error if none has one or its files cannot be opened.
    pub(crate) fn find(folders: &[String]) -> io::Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let (_, folder, names) = cgroup_memory::binding(folders, read)
            .ok_or_else(|| io::Error::other("no control group has a limit on memory"))?;
        let open = |name: &str| KeptFile::open(format!("{folder}/{name}"));
        Ok(GroupFiles {
            limit: open(names.limit)?,
            used: open(names.used)?,
            stat: open("memory.stat").ok(),
            events: open(names.events.0).ok(),
            names,
        })
    }

    /// What is used now; `None` if it is not told, or if there is no limit any more.
    pub(crate) fn now(&self) -> Option<GroupMemory> {
        let limit_bytes = self.limit.read(cgroup_memory::limit)?;
        let used_bytes = self.used.number()?;
        // To ask for the parts costs more, and below that they decide nothing.
        let files_bytes = if used_bytes < limit_bytes / 2 { 0 } else { self.files_bytes() };
        Some(GroupMemory { used_bytes: used_bytes.saturating_sub(files_bytes), limit_bytes })
    }

    /// Cached files, which the kernel takes back.
    fn files_bytes(&self) -> u64 {
        let names = [self.names.inactive_file, self.names.active_file];
        let sum = |text: &str| {
            let parts = names.map(|name| cgroup_memory::value(text, name).unwrap_or(0));
            Some(parts[0].saturating_add(parts[1]))
        };
        self.stat.as_ref().and_then(|stat| stat.read(sum)).unwrap_or(0)
    }

    /// How often the limit was met since the group was made; `None` if it is not counted.
    pub(crate) fn met(&self) -> Option<u64> {
        let counts = self.names.events.1;
        let events = self.events.as_ref()?;
        if counts.is_empty() {
            return events.number();
        }
        let sum = |text: &str| {
            let told = counts.iter().filter_map(|name| cgroup_memory::value(text, name));
            Some(told.fold(0_u64, u64::saturating_add))
        };
        events.read(sum)
    }
}

/// Resident memory of this process.
#[derive(Debug)]
pub(crate) struct ResidentFile {
    pub(crate) file: KeptFile,
    page_bytes: u64,
}

impl ResidentFile {
    pub(crate) fn open(page_bytes: u64) -> io::Result<Self> {
        Ok(ResidentFile { file: KeptFile::open(format!("{}/statm", super::FOLDER))?, page_bytes })
    }

    pub(crate) fn bytes(&self) -> Option<u64> {
        let pages = self.file.read(|text| text.split(' ').nth(1)?.parse::<u64>().ok())?;
        pages.checked_mul(self.page_bytes)
    }
}

/// The part of the last ten seconds in which some task waited for memory, in millionths.
pub(crate) fn pressure_ppm(file: &KeptFile) -> Option<u64> {
    file.read(pressure::some_ppm)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use diag_test_support::folder::Folder;

    use super::*;

    /// A control group that does not exist, of either version.
    fn group(files: &[(&str, &str)]) -> (Folder, io::Result<GroupFiles>) {
        let folder = Folder::new("group");
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).expect("a file"));
        let found = GroupFiles::find(&[folder.to_string_lossy().into_owned()]);
        (folder, found)
    }

    #[test]
    fn the_second_version_is_read_as_it_changes() {
        let (folder, found) = group(&[
            ("memory.max", "1000\n"),
            ("memory.current", "400\n"),
            ("memory.stat", "anon 1\nactive_file 100\ninactive_file 50\n"),
            ("memory.events", "low 9\nhigh 8\nmax 2\noom 1\noom_kill 1\n"),
        ]);
        let found = found.expect("a limit");
        assert_eq!(found.now(), Some(GroupMemory { used_bytes: 400, limit_bytes: 1_000 }));
        fs::write(folder.join("memory.current"), "900\n").expect("a file");
        assert_eq!(found.now(), Some(GroupMemory { used_bytes: 750, limit_bytes: 1_000 }));
        assert_eq!(found.met(), Some(3));
        fs::write(folder.join("memory.max"), "max\n").expect("a file");
        assert_eq!(found.now(), None, "the limit is lifted");
    }

    #[test]
    fn the_first_version_has_other_names() {
        let (_folder, found) = group(&[
            ("memory.limit_in_bytes", "1000\n"),
            ("memory.usage_in_bytes", "600\n"),
            ("memory.stat", "total_active_file 5\ntotal_inactive_file 95\ninactive_file 7\n"),
            ("memory.failcnt", "12\n"),
        ]);
        let found = found.expect("a limit");
        assert_eq!(found.now(), Some(GroupMemory { used_bytes: 500, limit_bytes: 1_000 }));
        assert_eq!(found.met(), Some(12));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let error = group(&[("memory.max", "max\n"), ("memory.current", "4\n")]).1.expect_err("no limit");
        assert_eq!(error.to_string(), "no control group has a limit on memory");
        assert!(group(&[("memory.max", "7\n")]).1.is_err(), "nobody says what is used");
        let (_folder, found) = group(&[("memory.max", "7\n"), ("memory.current", "what\n")]);
        let found = found.expect("a limit");
        assert_eq!((found.now(), found.met()), (None, None));
    }
}
