//! The tasks that hyper spawns, with records.
//!
//! hyper spawns by an executor that it is given, a task for each connection, or for each stream of HTTP/2. With this one they
//! are recorded like those of [`diag::spawn`](crate::spawn): their polls are counted, and where they wait is known.
//! Without it, [`diag::Alloc`](crate::Alloc) knows them by their memory alone.

use std::future::Future;
use std::panic::Location;

use hyper::rt;

use crate::task;

/// Spawns on the current tokio runtime and records. The spawn site of all its tasks is the line where it was
/// [made](Executor::new), and their type tells them apart.
///
/// ```
/// # async fn serve<I: hyper::rt::Read + hyper::rt::Write + Unpin>(io: I) {
/// use hyper::rt::Executor as _;
///
/// let executor = diag::hyper::Executor::new();
/// // As hyper's own builders do, such as `http2::Builder::new(executor)`.
/// executor.execute(async { /* ... */ });
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Executor {
    location: &'static Location<'static>,
}

impl Executor {
    /// Makes an executor; the caller's line is the site of its tasks.
    #[track_caller]
    #[must_use]
    pub fn new() -> Self {
        Executor { location: Location::caller() }
    }
}

impl Default for Executor {
    #[track_caller]
    fn default() -> Self {
        Executor::new()
    }
}

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    /// # Panics
    /// Outside of a tokio runtime, as `tokio::spawn` does.
    fn execute(&self, future: F) {
        drop(task::spawn_at(self.location, future));
    }
}
