//! How much memory the container may use: the limits of its control groups.

use diag_snapshot::CgroupMemory;

/// From here on a limit is none: the first version of control groups has a huge number for that.
const UNLIMITED: u64 = 1 << 62;

/// What files and values are called in a version of control groups.
pub(super) struct Names {
    pub(super) limit: &'static str,
    pub(super) used: &'static str,
    pub(super) inactive_file: &'static str,
    pub(super) active_file: &'static str,
    /// The file that counts how often the limit was met, and the names of such counts in it; none if it has one only.
    pub(super) events: (&'static str, &'static [&'static str]),
}

const VERSIONS: [Names; 2] = [
    Names {
        limit: "memory.max",
        used: "memory.current",
        inactive_file: "inactive_file",
        active_file: "active_file",
        events: ("memory.events", &["max", "oom"]),
    },
    Names {
        limit: "memory.limit_in_bytes",
        used: "memory.usage_in_bytes",
        inactive_file: "total_inactive_file",
        active_file: "total_active_file",
        events: ("memory.failcnt", &[]),
    },
];

/// The number of this name in `memory.stat` or `memory.events`.
pub(super) fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

/// The limit that the text of a file says; none if it says `max`, or a huge number.
pub(super) fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&bytes| bytes < UNLIMITED)
}

/// The group with the smallest limit among `folders`, the first of equal ones: the limit, the folder, and what its files
/// are called.
pub(super) fn binding(
    folders: &[String],
    read: impl Fn(&str) -> Option<String>,
) -> Option<(u64, &String, &'static Names)> {
    let of = |folder: &str| {
        VERSIONS.iter().find_map(|names| Some((limit(&read(&format!("{folder}/{}", names.limit))?)?, names)))
    };
    let limited = folders.iter().filter_map(|folder| of(folder).map(|(bytes, names)| (bytes, folder, names)));
    limited.min_by_key(|(bytes, ..)| *bytes)
}

/// The group with the smallest limit among `folders`, the own one first; without any limit the first that tells what
/// it uses. `read` gives the text of a file.
pub(super) fn find(folders: &[String], read: impl Fn(&str) -> Option<String>) -> Option<CgroupMemory> {
    let number = |folder: &str, file: &str| read(&format!("{folder}/{file}"))?.trim().parse::<u64>().ok();
    let used = |folder: &str| {
        VERSIONS.iter().find_map(|names| Some((number(folder, names.used)?, names.inactive_file)))
    };
    let (limit_bytes, folder) = match binding(folders, &read) {
        Some((bytes, folder, _)) => (Some(bytes), folder),
        None => (None, folders.iter().find(|folder| used(folder).is_some())?),
    };
    let (used_bytes, inactive_file) = used(folder).unzip();
    let inactive_file_bytes =
        inactive_file.and_then(|name| value(&read(&format!("{folder}/memory.stat"))?, name));
    Some(CgroupMemory { limit_bytes, used_bytes, inactive_file_bytes, folder: folder.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(folders: &[&str], files: &[(&str, &str)]) -> Option<CgroupMemory> {
        let folders: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
        find(&folders, |path| Some(files.iter().find(|(name, _)| *name == path)?.1.to_owned()))
    }

    fn group(numbers: [Option<u64>; 3], folder: &str) -> Option<CgroupMemory> {
        let [limit_bytes, used_bytes, inactive_file_bytes] = numbers;
        Some(CgroupMemory { limit_bytes, used_bytes, inactive_file_bytes, folder: folder.to_owned() })
    }

    #[test]
    fn the_smallest_limit_around_the_group_binds() {
        let files = [
            ("/c/a/b/memory.max", "max\n"),
            ("/c/a/b/memory.current", "700\n"),
            ("/c/a/memory.max", "1000\n"),
            ("/c/a/memory.current", "900\n"),
            ("/c/a/memory.stat", "anon 500\ninactive_file_x 1\ninactive_file 300\n"),
            ("/c/memory.max", "1000\n"),
            ("/c/memory.current", "950\n"),
        ];
        let found = find_in(&["/c/a/b", "/c/a", "/c"], &files);
        assert_eq!(found, group([Some(1_000), Some(900), Some(300)], "/c/a"));
        let found = find_in(&["/c/a/b", "/c"], &files[..2]);
        assert_eq!(found, group([None, Some(700), None], "/c/a/b"), "there is no limit");
    }

    #[test]
    fn the_first_version_has_other_names() {
        let files = [
            ("/m/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/m/a/memory.usage_in_bytes", "500\n"),
            ("/m/memory.limit_in_bytes", "2000\n"),
            ("/m/memory.usage_in_bytes", "600\n"),
            ("/m/memory.stat", "inactive_file 1\ntotal_inactive_file 70\n"),
        ];
        let found = find_in(&["/m/a", "/m"], &files);
        assert_eq!(found, group([Some(2_000), Some(600), Some(70)], "/m"));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(find_in(&["/c"], &[]), None);
        assert_eq!(find_in(&["/c"], &[("/c/memory.max", "many"), ("/c/memory.current", "-1")]), None);
        let limit_only = find_in(&["/c"], &[("/c/memory.max", "7")]);
        assert_eq!(limit_only, group([Some(7), None, None], "/c"));
    }
}
