//! How well functions and lines are known, and what the paths of sources tell of tokio.

use std::collections::BTreeSet;

use diag_snapshot::Snapshot;
use serde::Serialize;

use crate::named_stacks::has_name;

/// How well the frames of a snapshot are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SymbolQuality {
    /// Frames of call stacks.
    pub frames: u64,
    /// Those of them that have a name.
    pub named_frames: u64,
    /// Functions in them: more than frames, if some are inlined into others.
    pub functions: u64,
    /// Those of them that are known by file and line.
    pub with_line: u64,
}

impl SymbolQuality {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let stacks = &snapshot.stacks;
        let names = stacks.names.iter();
        SymbolQuality {
            frames: stacks.frames.len() as u64,
            named_frames: has_name(stacks).into_iter().filter(|&is_named| is_named).count() as u64,
            functions: stacks.names.len() as u64,
            with_line: names.filter(|name| name.file.is_some() && name.line.is_some()).count() as u64,
        }
    }
}

/// The versions of tokio whose sources functions lie in, ascending.
pub(super) fn tokio_versions(snapshot: &Snapshot) -> Vec<String> {
    let files: BTreeSet<_> = snapshot.stacks.names.file().iter().flatten().collect();
    let versions: BTreeSet<String> = (files.into_iter())
        .filter_map(|file| version_in(snapshot.strings.get(file)?))
        .map(str::to_owned)
        .collect();
    versions.into_iter().collect()
}

/// `1.47.0` of `/home/me/.cargo/registry/src/index/tokio-1.47.0/src/task.rs`.
fn version_in(path: &str) -> Option<&str> {
    let versions = path.split('/').filter_map(|folder| folder.strip_prefix("tokio-"));
    versions.into_iter().find(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_registry_tells_the_version() {
        assert_eq!(version_in("/r/registry/src/i/tokio-1.47.0/src/task.rs"), Some("1.47.0"));
        assert_eq!(version_in("/r/registry/src/i/tokio-util-0.7.1/src/task.rs"), None);
        assert_eq!(version_in("src/tokio.rs"), None);
    }
}
