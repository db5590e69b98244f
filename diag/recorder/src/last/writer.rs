//! Who writes last snapshots: one at a time, on a thread of its own, for which nobody waits for ever.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diag_snapshot::Cause;

use super::folder::LastFolder;
use super::fuse::Fuse;
use crate::capture::{self, Scope};
use crate::dropped::Dropped;
use crate::own_thread::OwnThread;
use crate::{files, sys};

/// So long a snapshot may take, with the turn of another before it.
const WITHIN: Duration = Duration::from_secs(10);

static DROPPED: Dropped = Dropped::new(
    "last_snapshots_dropped",
    "a snapshot that was to be kept apart is missing: it could not be written, or not in time, or five before it could not",
);

pub(super) struct Writer {
    pub(super) folder: LastFolder,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_busy: bool,
    /// How many were begun.
    begun: u64,
    /// What became of the one that ended last, and which that was.
    ended: Option<(u64, Result<PathBuf, String>)>,
    fuse: Fuse,
}

impl Writer {
    pub(super) fn new(folder: LastFolder) -> Self {
        Writer { folder, started: Instant::now(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes a snapshot for `cause` and writes it to `path`. Gives the path, or why there is no file yet.
    pub(super) fn write(&'static self, cause: Cause, path: PathBuf) -> Result<PathBuf, String> {
        self.try_write(cause, path).inspect_err(|_| DROPPED.count())
    }

    fn try_write(&'static self, cause: Cause, path: PathBuf) -> Result<PathBuf, String> {
        let until = Instant::now() + WITHIN;
        let mut state = self.wait(self.lock(), until, |state| !state.is_busy);
        if state.is_busy {
            return Err("another one was being written".to_owned());
        }
        if state.fuse.is_open(self.started.elapsed()) {
            return Err("five in a row failed, and nothing is tried for 30 s".to_owned());
        }
        state.is_busy = true;
        state.begun += 1;
        let number = state.begun;
        drop(state);
        // The one that waits may hold locks of the service's, or be short of stack.
        let work = move || {
            sys::name_thread(c"diag-capture");
            let _own = OwnThread::here();
            crate::hide_for_ever();
            self.end(number, self.capture(cause, &path));
        };
        if let Err(error) = sys::start_thread(sys::USUAL_STACK_BYTES, work) {
            self.end(number, Err(format!("no thread for it could be started: {error}")));
        }
        let has_ended = |state: &State| state.ended.as_ref().is_some_and(|(ended, _)| *ended == number);
        let state = self.wait(self.lock(), until, has_ended);
        match &state.ended {
            Some((ended, result)) if *ended == number => result.clone(),
            _ => Err(format!("it took more than {} s", WITHIN.as_secs())),
        }
    }

    fn capture(&self, cause: Cause, path: &Path) -> Result<PathBuf, String> {
        let work = || {
            let mut snapshot = capture::snapshot(Scope::Whole);
            snapshot.capture.cause = Some(cause);
            let bytes = diag_snapshot::write(&snapshot);
            drop(snapshot);
            // The folder may have been made away with since the start; a failure shows in the write.
            let _ = fs::create_dir_all(&self.folder.dir);
            files::put_soon(path, &bytes).map_err(|error| error.to_string())?;
            self.folder.prune();
            Ok(path.to_owned())
        };
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the capture failed".to_owned()))
    }

    fn end(&self, number: u64, result: Result<PathBuf, String>) {
        let mut state = self.lock();
        state.fuse.tried(result.is_ok(), self.started.elapsed());
        state.is_busy = false;
        state.ended = Some((number, result));
        self.changed.notify_all();
    }

    /// Waits until it is so, or until that time.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
        is_so: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        while !is_so(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
