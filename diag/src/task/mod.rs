//! Spawning with a record: the names of `tokio::task`, so that porting a file is changing its `use`.
//!
//! Each task gets a 128-byte slot that its wrapper keeps up to date while it is spawned, polled and
//! dropped; what ends is added to the totals of its spawn site. Nothing
//! here allocates, locks or waits after a thread's first spawn, and nothing is ever sent anywhere:
//! the capture comes and looks.
//!
//! Deliberately not here: any judgement of what is seen.

mod builder;
pub(crate) mod ends;
mod future;
mod groups;
pub(crate) mod local;
#[cfg(all(test, diag_loom))]
mod models;
pub(crate) mod site;
pub(crate) mod slab;
pub(crate) mod slot;
pub(crate) mod tokio_id;
pub(crate) mod totals;

use std::future::Future;
use std::panic::Location;

pub use tokio::task::{AbortHandle, Id, JoinError, JoinHandle};

pub use builder::Builder;
use future::Tracked;
use site::Site;
pub(crate) use site::SiteId;

/// Spawns a task as [`tokio::spawn`] does, and records it.
///
/// The spawn site is the caller's line. Costs some 50 ns more than `tokio::spawn` and 8 bytes in the
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
    let site = Site::of::<F>(Location::caller());
    tokio::spawn(Tracked::new(future, site, None))
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
    let site = Site::of::<F>(Location::caller());
    tokio::task::spawn_local(Tracked::new(future, site, None))
}
