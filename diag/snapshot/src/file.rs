//! Snapshot files on disk: written whole or not at all, read with a limit.
//!
//! The only part of this crate that touches the outside. It keeps no files and deletes none but
//! temporary ones that nobody writes any more; which snapshots to keep is the caller's business.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::{self, Damage, MAX_DECODED_BYTES, ReadError};
use crate::model::Snapshot;

/// Why a file could not be written or read.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    Io {
        /// What was tried: `create`, `write`, `rename`, `open`, ...
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its bytes are no usable snapshot.
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: ReadError,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Io { action, path, error } => {
                write!(f, "cannot {action} {}: {error}", path.display())
            }
            FileError::Format { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FileError::Io { error, .. } => Some(error),
            FileError::Format { error, .. } => Some(error),
        }
    }
}

/// Puts `bytes` at `path` in one step: whoever reads it, and whatever stops us, finds the file that
/// was there before or the new one whole. Only its owner may read it.
///
/// The bytes go to a hidden file of the same folder, to the disk, and only then under their name. A
/// process that is killed on the way leaves that hidden file (`.NAME.PID-N.tmp`) behind; the next
/// write to the same path removes it.
///
/// # Errors
/// If the folder or the disk does not take it; the temporary file is removed then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, bytes, Sync::First)
}

/// As [`write()`], for a process that may be killed any moment: the bytes are under their name before the disk has them, so
/// that they are there if the process ends meanwhile. If the host does, the file may be damaged.
///
/// # Errors
/// As [`write()`].
pub fn write_soon(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, bytes, Sync::Last)
}

/// When the disk gets the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// Before they have their name.
    First,
    /// Once they have it.
    Last,
}

fn write_with(path: &Path, bytes: &[u8], sync: Sync) -> Result<(), FileError> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    remove_abandoned(folder_of(path), |name| name == file_name);
    let (temporary, file) = create_beside(path)?;
    let written = fill(&file, &temporary, bytes, sync)
        .and_then(|()| fs::rename(&temporary, path).map_err(failed("rename", &temporary)));
    if written.is_err() {
        // What went wrong first is what the caller must hear of.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    if sync == Sync::Last {
        file.sync_all().map_err(failed("sync", path))?;
    }
    sync_folder(path)
}

/// Removes the temporary files of `folder` that nobody writes any more, of those files that
/// `is_wanted` takes by the names that they were to have. What cannot be removed stays.
///
/// No clock says which they are: a writer holds a lock on its file, which ends with the writer.
pub fn remove_abandoned(folder: &Path, is_wanted: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().and_then(name_of_temporary).is_some_and(&is_wanted);
        // Whatever else has such a name may wait for ever to be opened.
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_without_writer(&entry.path());
        }
    }
}

/// The snapshot in the file at `path`, and what of it could not be read: [`format::read`].
///
/// # Errors
/// If it cannot be opened or nothing of it is usable.
pub fn read(path: &Path) -> Result<(Snapshot, Vec<Damage>), FileError> {
    let bytes = read_bytes(path)?;
    format::read(&bytes).map_err(|error| FileError::Format { path: path.to_owned(), error })
}

/// Of whom the snapshot in the file at `path` is, without its rows, and how it is damaged: [`format::read_facts`].
///
/// # Errors
/// As [`read`].
pub fn read_facts(path: &Path) -> Result<(Snapshot, Vec<Damage>), FileError> {
    let bytes = read_bytes(path)?;
    format::read_facts(&bytes).map_err(|error| FileError::Format { path: path.to_owned(), error })
}

/// The bytes of the file at `path`, which are not looked at: no more than any snapshot can have, for
/// `path` may be a pipe or a device without end.
///
/// # Errors
/// If it cannot be opened or read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    read_limited(path).map_err(failed("read", path))
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::with_capacity(file.metadata()?.len().min(MAX_DECODED_BYTES) as usize);
    file.take(MAX_DECODED_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A new temporary file for `path`, locked as long as it is open.
fn create_beside(path: &Path) -> Result<(PathBuf, File), FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut tries = 0;
    loop {
        let temporary = temporary_path(path);
        let file = options.open(&temporary).map_err(failed("create", &temporary))?;
        // A file system without locks gives none to those who clean up either.
        let is_taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        tries += 1;
        // Before it was locked, somebody may have taken it for abandoned.
        if (!is_taken && temporary.exists()) || tries == 8 {
            return Ok((temporary, file));
        }
    }
}

fn fill(mut file: &File, path: &Path, bytes: &[u8], sync: Sync) -> Result<(), FileError> {
    file.write_all(bytes).map_err(failed("write", path))?;
    if sync == Sync::First { file.sync_all().map_err(failed("sync", path)) } else { Ok(()) }
}

fn remove_without_writer(temporary: &Path) {
    let Ok(file) = OpenOptions::new().write(true).open(temporary) else { return };
    // The lock is held until it is removed: whoever has just created it sees that.
    if file.try_lock().is_ok() {
        let _ = fs::remove_file(temporary);
    }
}

/// A rename is on the disk when its folder is.
fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The name that a temporary file was to have.
fn name_of_temporary(temporary: &str) -> Option<&str> {
    let (name, writer) = temporary.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (pid, write) = writer.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    (is_number(pid) && is_number(write)).then_some(name)
}

/// Beside `path`, since a rename must stay on one file system, and different for every write.
fn temporary_path(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.{}-{write}.tmp", std::process::id()))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError::Io { action, path, error }
}
