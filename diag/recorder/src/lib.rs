#![doc = include_str!("../README.md")]
//!
//! # Taking snapshots
//!
//! The agent serves them, [`Builder::dir`] has one written into a folder every so often, and the service may take one itself:
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
//! | [`spawn`], [`block_on`], [`task`] | spawning and running with a record, by the names of `tokio::task` |
//! | [`scope`] | labels: what tasks are for, a device or a request |
//! | [`gauge`](fn@gauge) | numbers that the service publishes about itself |
//! | [`snapshot`], [`snapshot_to`], [`snapshot_asking`] | taking a snapshot |
#![cfg_attr(
    feature = "tower",
    doc = "| [`tower::Layer`] | recording the requests in flight of axum, tonic and others |"
)]
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
mod bad_setting;
mod builder;
mod capture;
#[cfg(samples_heap)]
mod census;
mod clock;
#[cfg(profiles_cpu)]
mod cpu;
mod current;
mod dropped;
mod files;
mod fork;
mod gauge;
mod guard;
#[cfg_attr(not(takes_stacks), allow(dead_code, reason = "stacks are hashed"))]
mod hash;
mod health;
#[cfg(feature = "heap")]
#[cfg_attr(not(samples_heap), path = "heap/unsupported.rs")]
pub mod heap;
#[cfg(feature = "hyper")]
pub mod hyper;
mod memory;
mod messages;
mod options;
mod own_thread;
#[cfg(feature = "heap")]
#[cfg_attr(not(samples_heap), allow(dead_code, reason = "blocks are known by samples"))]
mod owner_outcomes;
mod parts;
mod problem;
mod runtime;
mod settings;
mod snapshot;
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
#[cfg(feature = "tower")]
pub mod tower;
mod values;

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use own_thread::OwnThread;

pub use allocator::{AllocatorStats, glibc_stats};
pub use bad_setting::BadSetting;
pub use builder::{Builder, init};
pub use gauge::{Gauge, gauge};
pub use guard::Guard;
#[cfg(feature = "heap")]
pub use heap::Alloc;
pub use problem::{Problem, ProblemKind};
pub use settings::HeapMode;
pub use snapshot::{Snapshot, SnapshotError, snapshot, snapshot_asking, snapshot_to};
pub use task::{block_on, scope, spawn};

static RECORDING: AtomicBool = AtomicBool::new(true);

/// True unless `DIAG=off`. Tasks spawned before [`init`] are recorded too.
#[inline]
pub(crate) fn is_recording() -> bool {
    RECORDING.load(Ordering::Relaxed)
}

pub(crate) fn record(on: bool) {
    RECORDING.store(on, Ordering::Relaxed);
}

/// Makes the calling thread, one of our own until the result is dropped, yield to the service's. Allocates nothing.
pub(crate) fn own_thread(name: &CStr) -> OwnThread {
    sys::name_thread(name);
    sys::lower_priority();
    OwnThread::here()
}

/// Keeps what this thread allocates from now on out of the heap samples.
pub(crate) fn hide_for_ever() {
    #[cfg(feature = "heap")]
    let _for_ever = std::mem::ManuallyDrop::new(heap::hide_capture());
}

/// An [`own_thread`] whose bytes are [kept out](hide_for_ever) of the heap samples.
pub(crate) fn background_thread(name: &CStr) -> OwnThread {
    let own = own_thread(name);
    hide_for_ever();
    own
}
