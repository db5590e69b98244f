#![doc = include_str!("../README.md")]
//!
//! # Taking snapshots
//!
//! The agent serves them, [`Builder::files`] writes one into a folder every so often, and the service may take one itself:
//!
//! ```
//! # unsafe { std::env::set_var("DIAG_ADDR", "off") };
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! diag::init();
//! let task = diag::spawn(async { /* as tokio::spawn */ });
//! task.await?;
//! # let path = std::env::temp_dir().join(format!("diag-doc-{}.diag", std::process::id()));
//! diag::snapshot_to(&path)?;
//! # std::fs::remove_file(path)?;
//! # Ok(()) }
//! ```
//!
//! Two of them are compared by the `diag` command: `diag diff before.diag after.diag`. This crate records and captures;
//! it judges nothing.
//!
//! # Where things are
//!
//! | item | what |
//! |---|---|
//! | [`init`], [`Builder`] | starting, and what can be set |
//! | [`spawn`], [`task`] | spawning with a record, by the names of `tokio::task` |
//! | [`gauge`](fn@gauge) | numbers that the service publishes about itself |
//! | [`snapshot`], [`snapshot_to`], [`snapshot_asking`] | taking a snapshot |
#![cfg_attr(
    feature = "heap",
    doc = "| [`Alloc`], [`heap`] | the sampling allocator, and assertions for tests |"
)]
//!
//! # What the agent answers
//!
//! `/snapshot`, `/dump`, `/metrics`, `/debug/pprof/`, `/healthz`: each on its own thread's time, one capture at a time. The
//! profiles are for `go tool pprof` and whatever else reads its format. The names of the metrics never change:
//!
//! | metrics | labels |
//! |---|---|
//! | `diag_tasks`, `diag_tasks_spawned_total`, `diag_task_polls_total`, `diag_task_busy_seconds_total` | `site`, `name` |
//! | `diag_tasks_ended_total` | `site`, `name`, `outcome` |
//! | `diag_tasks_by_state`, `diag_ended_tasks_held` | `state`; none |
//! | `diag_tracked_tasks` | none |
//! | `diag_runtime_alive_tasks`, `diag_runtime_workers` | `runtime` |
//! | `diag_heap_live_bytes`, `diag_heap_allocated_bytes_total`, `diag_heap_freed_bytes_total`, `diag_heap_ended_tasks_live_bytes` | none |
//! | `diag_heap_task_site_live_bytes` | `site`, `name` |
//! | `diag_resident_bytes` | `part` |
//! | `diag_capture_seconds`, `diag_dropped_total` | none; `what` |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "agent")]
mod agent;
mod allocator;
mod builder;
mod capture;
mod clock;
#[cfg(profiles_cpu)]
mod cpu;
mod current;
mod dropped;
mod files;
mod fork;
mod gauge;
#[cfg_attr(not(takes_stacks), allow(dead_code, reason = "stacks are hashed"))]
mod hash;
mod health;
#[cfg(feature = "heap")]
#[cfg_attr(not(samples_heap), path = "heap/unsupported.rs")]
pub mod heap;
mod memory;
mod own_thread;
#[cfg(feature = "heap")]
#[cfg_attr(not(samples_heap), allow(dead_code, reason = "blocks are known by samples"))]
mod owner_outcomes;
mod runtime;
mod settings;
#[cfg_attr(not(takes_stacks), path = "stack/unsupported.rs")]
#[cfg_attr(not(samples_heap), allow(dead_code, unused_imports, reason = "samples use all of it"))]
mod stack;
#[cfg_attr(not(samples_heap), allow(dead_code, reason = "samples use all of it"))]
mod symbols;
mod sync;
mod sys;
pub mod task;
mod thread;
mod ticker;

use std::ffi::CStr;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use own_thread::OwnThread;

pub use allocator::{AllocatorStats, glibc_stats};
pub use builder::{Builder, Guard, InitError, init};
pub use diag_snapshot::Snapshot;
pub use gauge::{Gauge, gauge};
#[cfg(feature = "heap")]
pub use heap::Alloc;
pub use settings::BadSetting;
pub use task::spawn;

static RECORDING: AtomicBool = AtomicBool::new(true);

/// True unless `DIAG=off`. Tasks spawned before [`init`] are recorded too.
#[inline]
pub(crate) fn is_recording() -> bool {
    RECORDING.load(Ordering::Relaxed)
}

pub(crate) fn record(on: bool) {
    RECORDING.store(on, Ordering::Relaxed);
}

/// What the service knows about itself now. Works with or without [`init`].
///
/// Runs on the calling thread, about a microsecond a live task: from async code, call it inside
/// `spawn_blocking`.
///
/// Captures take turns, by process: a child that was forked while another thread captured waits for nobody, and
/// may allocate, spawn and capture like any other. Tasks of its parent's that no thread of the child drives are
/// in none of its snapshots.
pub fn snapshot() -> Snapshot {
    capture::snapshot(capture::Scope::Whole)
}

/// As [`snapshot`], and has idle tasks polled, up to 16,384 of all spawn sites alike, to show where they are parked.
///
/// Only for a person who asks. Such a poll is legal, and still it changes what the service does: it may put a future
/// that nobody was to poll again in the place of one that is at work, and it mends a wake-up that was lost. What it
/// finds ready though nothing had woken it is counted in the snapshot, which also says how many tasks were asked.
/// Waits for the polls, so it is not to be called on a thread that polls tasks.
pub fn snapshot_asking() -> Snapshot {
    capture::snapshot(capture::Scope::Asking)
}

/// Takes a [`snapshot`] and writes it to `path`, whole or not at all. Only its owner may read the file.
///
/// # Errors
/// If the file cannot be written; a file that was there before is then as it was.
pub fn snapshot_to(path: impl AsRef<Path>) -> Result<(), SnapshotError> {
    let bytes = diag_snapshot::write(&capture::snapshot(capture::Scope::Whole));
    files::put(path.as_ref(), &bytes).map_err(SnapshotError)
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

/// Says something to the owner of the service. The one place that prints: there may be no logger yet, and a
/// service must still learn of a misspelt setting.
///
/// In one write, so that no other line gets in between; and not by `eprintln`, which panics where stderr is a
/// closed pipe or a file on a full disk.
pub(crate) fn warn(message: &dyn fmt::Display) {
    let _ = std::io::stderr().write_all(format!("diag: {message}\n").as_bytes());
}

/// Makes the calling thread, one of our own until the result is dropped, yield to the service's, and keeps its bytes
/// out of the heap samples.
pub(crate) fn background_thread(name: &CStr) -> OwnThread {
    sys::name_thread(name);
    #[cfg(feature = "heap")]
    let _for_ever = std::mem::ManuallyDrop::new(heap::hide_capture());
    sys::lower_priority();
    OwnThread::here()
}
