//! The snapshots of one service as files, by the same measure as in memory: what an earlier run left counts too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use diag_snapshot::{content_id, file};

use super::shots::thin;

/// Files of a folder that are of one service.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// What their names begin with.
    prefix: String,
}

impl Files {
    /// Those of the service that listens at this address.
    pub(super) fn new(folder: &Path, authority: &str) -> Self {
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
        let of: String = authority.chars().map(plain).collect();
        Files { folder: folder.to_owned(), prefix: format!("live-{of}-") }
    }

    /// Writes a snapshot to a file of its own, and removes the files that are missed least if there are too many.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), String> {
        let Some(id) = content_id(bytes) else { return Ok(()) };
        let path = self.folder.join(format!("{}{}.diag", self.prefix, id.short()));
        file::write(&path, bytes).map_err(|error| format!("a snapshot cannot be kept: {error}"))?;
        let mut written = self.written();
        for (path, ..) in thin(&mut written, |&(_, at_ms, _)| at_ms, |&(.., bytes)| bytes) {
            // If it cannot be removed, it is one more to look at.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// All of them with their time and size, in the order of time.
    fn written(&self) -> Vec<(PathBuf, u64, u64)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let is_ours = |entry: &fs::DirEntry| {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_prefix(&self.prefix)?.strip_suffix(".diag"));
            // Of another service whose name goes on, there is more than an id.
            is_file && name.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let facts = |entry: fs::DirEntry| {
            let facts = entry.metadata().ok()?;
            let at = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH);
            Some((entry.path(), at.map_or(0, |at| at.as_millis() as u64), facts.len()))
        };
        let mut written: Vec<_> = entries.filter(is_ours).filter_map(facts).collect();
        written.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        written
    }
}
