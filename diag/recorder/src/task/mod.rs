//! Spawning with a record: the names of `tokio::task`, so that porting a file is changing its `use`.
//!
//! Each task gets a 128-byte record that its wrapper, its waker and its handles keep up to date; what ends is
//! added to the totals of its spawn site. Nothing here allocates, locks or waits after a thread's
//! first spawn, and nothing is ever sent anywhere: the capture comes and reads.
//!
//! | file | what |
//! |---|---|
//! | `record`, `state`, `reading`, `wake_source` | the record of a task, what is counted in it, and what a reader finds in it |
//! | `spawn`, `poll`, `end` | who keeps the record, from spawn to end |
//! | `future`, `waker`, `runtime_waker` | what is wrapped: a task's future, its waker, the runtime's |
//! | `sub`, `sub_waker`, `block_on`, `blocking` | a future inside of a task and its waker, a runtime's main future, a closure |
//! | `handle`, `join_set`, `local_set`, `builder` | tokio's own types with a record |
//! | `task_group` | tasks that belong together and end together |
//! | `labels`, `scope`, `spans` | what a task is for, beside its record, and what hands it on or says it later |
//! | `await_point`, `await_numbers`, `await_stacks`, `sampling` | where tasks are parked: the stacks of some polls, and of which |
//! | `ask`, `pinned` | polls that a person asks for; a task held meanwhile |
//! | `lineage` | which tasks descend from a test's, while one has a guard |
//! | `slab`, `free_bitmap`, `context`, `site`, `totals`, `completed` | where records and totals live |
//!
//! Deliberately not here: any judgement of what is seen.

pub(crate) mod ask;
mod await_numbers;
pub(crate) mod await_point;
mod await_stacks;
mod block_on;
mod blocking;
mod builder;
pub(crate) mod cancel;
pub(crate) mod completed;
pub(crate) mod context;
mod end;
mod free_bitmap;
mod future;
mod handle;
#[cfg_attr(
    tokio_unstable,
    allow(hidden_glob_reexports, reason = "tokio's module of this name has the builder of its own set")
)]
mod join_set;
pub(crate) mod labels;
pub(crate) mod lineage;
mod local_set;
#[cfg(all(test, diag_loom))]
mod models;
pub(crate) mod pinned;
mod poll;
pub(crate) mod reading;
pub(crate) mod record;
pub(crate) mod runtime_waker;
pub(crate) mod sampling;
mod scope;
pub(crate) mod site;
pub(crate) mod slab;
#[doc(hidden)]
pub mod spans;
mod spawn;
mod state;
mod sub;
mod sub_waker;
pub(crate) mod task_group;
pub(crate) mod tokio_id;
pub(crate) mod totals;
pub(crate) mod wake_source;
pub(crate) mod waker;

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::task::Poll;

/// Whatever else the `tokio::task` of this build has: `coop`, for one, is there from tokio 1.44 on. What has a record is
/// named below, and comes before these.
#[doc(no_inline)]
pub use tokio::task::*;

pub(crate) use await_stacks::PLACE_BITS;
pub use block_on::block_on;
pub use blocking::{block_in_place, spawn_blocking};
pub use builder::Builder;
use future::Tracked;
pub use handle::{AbortHandle, JoinHandle};
pub use join_set::JoinSet;
pub use local_set::LocalSet;
pub use scope::{Scope, Scoped, scope};
use site::Kind;
pub(crate) use site::SiteId;
use spawn::Spawn;
#[cfg(feature = "tower")]
pub(crate) use sub::track_at;
pub use sub::{TrackedFuture, track};
pub use task_group::{Group, InGroup, group};

/// Spawns a task as [`tokio::spawn`] does, and records it.
///
/// The spawn site is the caller's line. Costs a fifth to a third more than `tokio::spawn` and 8 bytes in the
/// task plus its 128-byte record.
///
/// # Panics
/// Outside of a tokio runtime, as tokio does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let answer = diag::spawn(async { 42 });
/// assert_eq!(answer.await.unwrap(), 42);
/// # }
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_at(Location::caller(), future)
}

/// The same for whoever knows better which line it is.
#[inline(always)]
#[track_caller]
pub(crate) fn spawn_at<F>(location: &'static Location<'static>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Spawn::new(location, Kind::Task).on_current_runtime(future)
}

/// Spawns a `!Send` task on the current `LocalSet`, as [`tokio::task::spawn_local`] does, and records it.
///
/// # Panics
/// Outside of a `LocalSet` or `LocalRuntime`, as tokio does.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (record, handle, _cell) = Spawn::new(Location::caller(), Kind::Local).begin::<F>();
    JoinHandle::new(tokio::task::spawn_local(Tracked::new(future, record)), handle)
}

/// Learns the make of the runtime's wakers from one of its own tasks, before any other is polled.
pub(crate) use runtime_waker::probe as learn_runtime;

/// Lets other tasks run, as [`tokio::task::yield_now`]. Counts as a wake of the task by itself.
pub async fn yield_now() {
    let count = |cx: &mut std::task::Context<'_>| {
        if let Some(record) = waker::record_of(cx.waker()) {
            record.add_self_wake();
            await_point::woke_by_borrowed(record);
        }
        Poll::Ready(())
    };
    poll_fn(count).await;
    tokio::task::yield_now().await;
}
