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
//! | [`group`] | tasks that belong together, and who of them goes on after they were asked to end |
//! | [`gauge`](fn@gauge), [`expect_ratio`] | numbers that the service publishes about itself, and how many tasks belong to them |
//! | [`snapshot`], [`snapshot_to`], [`snapshot_asking`], [`snapshot_with_holders`] | taking a snapshot |
#![cfg_attr(
    feature = "tower",
    doc = "| [`tower::Layer`] | recording the requests in flight of axum, tonic and others |"
)]
#![cfg_attr(
    feature = "heap",
    doc = "| [`Alloc`], [`heap`] | the sampling allocator, and assertions for tests |"
)]
//! | [`Trigger`] | what a last snapshot is taken before, for [`Builder::last`] |
//! | [`resource`], [`Counted`] | what the service acquires and gives back, keeps in pools, or counts |
//! | [`testing`] | a guard that fails tests which leak |
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
mod core_layout;
#[cfg(profiles_cpu)]
mod cpu;
mod current;
mod dropped;
mod expected_ratio;
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
mod last;
mod memory;
mod messages;
#[cfg_attr(not(samples_heap), allow(dead_code, reason = "the census looks things up"))]
mod number_map;
mod options;
mod own_thread;
#[cfg(feature = "heap")]
#[cfg_attr(not(samples_heap), allow(dead_code, reason = "blocks are known by samples"))]
mod owner_outcomes;
mod parts;
mod problem;
pub mod resource;
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
pub mod testing;
mod thread;
mod ticker;
#[cfg(feature = "tower")]
pub mod tower;
mod values;

use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, Ordering};

use own_thread::OwnThread;

pub use allocator::{AllocatorStats, glibc_stats};
pub use bad_setting::BadSetting;
pub use builder::{Builder, init};
pub use expected_ratio::{ExpectedRatio, expect_ratio};
pub use gauge::{Gauge, gauge};
pub use guard::Guard;
#[cfg(feature = "heap")]
pub use heap::Alloc;
pub use last::Trigger;
pub use problem::{Problem, ProblemKind};
pub use resource::Counted;
pub use settings::HeapMode;
pub use snapshot::{Snapshot, SnapshotError, snapshot, snapshot_asking, snapshot_to, snapshot_with_holders};
pub use task::{block_on, group, scope, spawn};

/// What becomes of a spawn: a byte, so that the spawn path loads it once and compares it once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recording(u8);

impl Recording {
    /// `DIAG=off`.
    pub(crate) const OFF: Recording = Recording(0);
    /// Tasks spawned before [`init`] are recorded too.
    pub(crate) const ON: Recording = Recording(1);

    /// True if who descends from whom is kept, for the guards of tests (`task/lineage.rs`).
    pub(crate) fn keeps_lineage(self) -> bool {
        self.0 & LINEAGE != 0
    }

    /// True if tasks are labelled by the spans that they are polled in (`task/spans.rs`).
    pub(crate) fn follows_spans(self) -> bool {
        self.0 & SPANS != 0
    }
}

const LINEAGE: u8 = 1 << 1;
const SPANS: u8 = 1 << 2;

static RECORDING: AtomicU8 = AtomicU8::new(Recording::ON.0);

#[inline]
pub(crate) fn recording() -> Recording {
    Recording(RECORDING.load(Ordering::Relaxed))
}

/// False with `DIAG=off`.
#[inline]
pub(crate) fn is_recording() -> bool {
    recording() != Recording::OFF
}

pub(crate) fn record(on: bool) {
    let set = |before| match on {
        false => Some(Recording::OFF.0),
        true => (Recording(before) == Recording::OFF).then_some(Recording::ON.0),
    };
    let _ = RECORDING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set);
}

/// Keeps who descends from whom, or no more; without effect where nothing is recorded.
pub(crate) fn keep_lineage(on: bool) {
    set_recording(LINEAGE, on);
}

/// From now on tasks are labelled by the spans that they are polled in; without effect where nothing is recorded.
pub(crate) fn follow_spans() {
    set_recording(SPANS, true);
}

fn set_recording(flag: u8, on: bool) {
    let set = |before| {
        let after = if on { before | flag } else { before & !flag };
        (Recording(before) != Recording::OFF).then_some(after)
    };
    let _ = RECORDING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set);
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
