//! `block_on`: a runtime's main future.

use std::future::Future;

use tokio::runtime::Runtime;

use super::sub::track;

/// Runs a future to its end on the current thread, as [`Runtime::block_on`] does, and records it.
///
/// It is no task to tokio, which does not count it. Here it appears at the line of this call beside the tasks, with where
/// it waits, and as the parent of those that it spawns. In an `async fn main` of `#[tokio::main]` one line does the same:
/// `diag::task::track(async { /* ... */ }).await`.
///
/// # Panics
/// Where `Runtime::block_on` does: inside of a runtime, or if the future panics.
///
/// ```
/// let runtime = tokio::runtime::Runtime::new()?;
/// let served = diag::block_on(&runtime, async { /* serve until the service is told to stop */ 42 });
/// assert_eq!(served, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn block_on<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    runtime.block_on(track(future))
}
