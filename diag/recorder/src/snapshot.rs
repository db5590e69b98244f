//! A snapshot as services have it: to be written, not to be taken apart.

use std::fmt;
use std::path::Path;

use crate::{capture, files};

/// What the service knew about itself at one moment.
///
/// It is opaque: what it holds is the file format's, and changes with it. To take it apart, read its bytes with the
/// package `diag-snapshot`, or give them to the `diag` command.
#[must_use = "a snapshot is of use only when it is kept"]
pub struct Snapshot(diag_snapshot::Snapshot);

impl Snapshot {
    /// The bytes of its file.
    pub fn to_bytes(&self) -> Vec<u8> {
        diag_snapshot::write(&self.0)
    }

    /// Writes it to `path`, whole or not at all. Only its owner may read the file.
    ///
    /// # Errors
    /// If the file cannot be written; a file that was there before is then as it was.
    pub fn write_to(&self, path: impl AsRef<Path>) -> Result<(), SnapshotError> {
        files::put(path.as_ref(), &self.to_bytes()).map_err(SnapshotError)
    }

    /// How many recorded tasks there were.
    pub fn live_tasks(&self) -> usize {
        self.0.tasks.len()
    }

    /// The model, whose version is not `diag`'s: for the tests of this workspace.
    #[doc(hidden)]
    pub fn into_model(self) -> diag_snapshot::Snapshot {
        self.0
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("live_tasks", &self.live_tasks()).finish_non_exhaustive()
    }
}

/// Takes a snapshot of the service. Works with or without [`init`](crate::init).
///
/// Runs on the calling thread, about a microsecond a live task: from async code, call it inside
/// `spawn_blocking`.
///
/// Captures take turns, by process: a child that was forked while another thread captured waits for nobody, and
/// may allocate, spawn and capture like any other. Tasks of its parent's that no thread of the child drives are
/// in none of its snapshots.
///
/// ```
/// let snapshot = diag::snapshot();
/// assert_eq!(snapshot.live_tasks(), 0);
/// assert!(!snapshot.to_bytes().is_empty());
/// ```
pub fn snapshot() -> Snapshot {
    Snapshot(capture::snapshot(capture::Scope::Whole))
}

/// As [`snapshot`], and has idle tasks polled, up to 16,384 of all spawn sites alike, to show where they are parked.
///
/// Only for a person who asks. Such a poll is legal, and still it changes what the service does: it may put a future
/// that nobody was to poll again in the place of one that is at work, and it mends a wake-up that was lost. What it
/// finds ready though nothing had woken it is counted in the snapshot, which also says how many tasks were asked.
/// Waits for the polls, so it is not to be called on a thread that polls tasks.
pub fn snapshot_asking() -> Snapshot {
    Snapshot(capture::snapshot(capture::Scope::Asking))
}

/// As [`snapshot`], and sweeps the memory of tasks, channels and what else is known for who waits in what, and who points
/// there: who holds the lock that others wait for, who has the sender of a channel.
///
/// Only for a person who asks: it takes up to a second a GiB of known memory, and some seconds at the most. Nothing of the
/// service stops or waits meanwhile. If it cannot be done, the snapshot says why. Needs the census, which is there if
/// [`Alloc`](crate::Alloc) is the service's allocator.
pub fn snapshot_with_holders() -> Snapshot {
    Snapshot(capture::snapshot(capture::Scope::Holders))
}

/// Takes a [`snapshot`] and [writes it](Snapshot::write_to) to `path`.
///
/// # Errors
/// As [`Snapshot::write_to`].
pub fn snapshot_to(path: impl AsRef<Path>) -> Result<(), SnapshotError> {
    snapshot().write_to(path)
}

/// A snapshot could not be written.
#[derive(Debug)]
pub struct SnapshotError(diag_snapshot::file::FileError);

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
