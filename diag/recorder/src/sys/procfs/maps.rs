//! The list of mappings that `maps` holds.

use std::ops::Range;

/// A line of the list of mappings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mapping<'a> {
    pub(crate) range: Range<u64>,
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
    pub(crate) is_executable: bool,
    pub(crate) is_shared: bool,
    pub(crate) is_main_stack: bool,
    /// What is mapped, if that is a file, or shared as one.
    pub(crate) file: Option<MappedFile<'a>>,
}

/// A file as the kernel names it. What processes share without a file has a name as well, `/memfd:ring` or
/// `/dev/zero`, and counts as deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MappedFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) is_deleted: bool,
}

impl Mapping<'_> {
    /// How large it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The mappings in the text of `maps`; `None` if it is something else.
pub(crate) fn mappings(maps: &str) -> Option<Vec<Mapping<'_>>> {
    maps.lines().map(mapping).collect()
}

/// A line of it, or of `smaps`.
pub(crate) fn mapping(line: &str) -> Option<Mapping<'_>> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).ok());
    let access = words.next()?;
    let mut words = words.skip(2);
    let is_file = words.next()?.parse::<u64>().ok()? > 0;
    let name = words.next().unwrap_or_default().trim_start();
    let range = start?..end.filter(|&end| Some(end) > start)?;
    let deleted = name.strip_suffix(" (deleted)");
    Some(Mapping {
        range,
        is_readable: access.starts_with('r'),
        is_writable: access.get(1..2) == Some("w"),
        is_executable: access.get(2..3) == Some("x"),
        is_shared: access.ends_with('s'),
        is_main_stack: name == "[stack]",
        file: is_file.then(|| MappedFile { path: deleted.unwrap_or(name), is_deleted: deleted.is_some() }),
    })
}

/// The upper end of the mapping that the kernel calls `[stack]`.
pub(super) fn main_stack_top(maps: &str) -> Option<u64> {
    maps.lines().filter_map(mapping).find(|mapping| mapping.is_main_stack).map(|mapping| mapping.range.end)
}

/// Of a service with threads.
#[cfg(test)]
pub(crate) const MAPS: &str = "\
    55d8393fb000-55d8393fd000 r--p 00000000 fe:00 247030   /usr/bin/service with spaces\n\
    55d8393fd000-55d8393fe000 rw-p 00002000 fe:00 247030   /usr/bin/service\n\
    55d839a00000-55d839a21000 rw-p 00000000 00:00 0        [heap]\n\
    7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n\
    7f0000021000-7f0004000000 ---p 00000000 00:00 0 \n\
    7f1000000000-7f1000001000 ---p 00000000 00:00 0 \n\
    7f1000001000-7f1000201000 rw-p 00000000 00:00 0 \n\
    7f1000201000-7f1000202000 ---p 00000000 00:00 0 \n\
    7f1000202000-7f1000402000 rw-p 00000000 00:00 0 \n\
    7f1000402000-7f1000403000 ---p 00000000 00:00 0 \n\
    7f1000403000-7f1000503000 rw-p 00000000 00:00 0 \n\
    7f2000000000-7f2000010000 rw-s 00000000 00:01 12       /dev/shm/ring (deleted)\n\
    7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0        [stack]\n\
    ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_mapping_is_read() {
        let mappings = mappings(MAPS).expect("a list of mappings");
        assert_eq!(mappings.len(), 14);
        let files: Vec<_> =
            mappings.iter().filter_map(|mapping| Some((mapping.file?, mapping.is_shared))).collect();
        let file = |path, is_deleted| MappedFile { path, is_deleted };
        let [spaces, service, ring] = [
            file("/usr/bin/service with spaces", false),
            file("/usr/bin/service", false),
            file("/dev/shm/ring", true),
        ];
        assert_eq!(files, [(spaces, false), (service, false), (ring, true)]);
        assert_eq!(mappings[5].range, 0x7f10_0000_0000..0x7f10_0000_1000);
        assert!(!mappings[5].is_readable && mappings[6].is_readable && mappings[12].is_main_stack);
    }

    #[test]
    fn the_stack_of_the_first_thread_has_a_name() {
        assert_eq!(main_stack_top(MAPS), Some(0x7ffd_0002_1000));
        assert_eq!(main_stack_top("1000-2000 rw-p 00000000 00:00 0        [heap]\n"), None);
    }

    #[test]
    fn garbage_is_no_list() {
        for text in ["x", "12-", "5-4 rw-p 0 0:0 0", "1-2 rw-p 0 0:0", "g-h rw-p 0 0:0 0", "1-2 é 0 0:0 0 "]
        {
            assert!(mappings(text).is_none_or(|found| !found[0].is_readable), "{text:?}");
        }
        assert_eq!(mappings(""), Some(Vec::new()));
    }
}
