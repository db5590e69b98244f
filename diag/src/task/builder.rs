//! `Builder`: spawning with a name, as tokio's own builder does where that is stable.

use std::future::Future;
use std::io;
use std::panic::Location;

use tokio::runtime::Handle;

use super::JoinHandle;
use super::future::Tracked;
use super::site::Site;

/// Options of a task to be spawned, by the names of tokio's `task::Builder`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let device = diag::task::Builder::new().name("device 17").spawn(async { "online" })?;
/// assert_eq!(device.await.unwrap(), "online");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// No options set.
    pub fn new() -> Self {
        Builder::default()
    }

    /// Names the task in dumps, snapshots and pages. A copy is kept while the task lives.
    pub fn name(self, name: &'a str) -> Self {
        Builder { name: Some(name) }
    }

    /// Spawns on the current runtime.
    ///
    /// # Errors
    /// Never at the moment; tokio's signature.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(tokio::spawn(self.track(future, Location::caller())))
    }

    /// Spawns on the runtime of `handle`.
    ///
    /// # Errors
    /// Never at the moment; tokio's signature.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(handle.spawn(self.track(future, Location::caller())))
    }

    /// Spawns a `!Send` task on the current `LocalSet`.
    ///
    /// # Errors
    /// Never at the moment; tokio's signature.
    ///
    /// # Panics
    /// Outside of a `LocalSet` or `LocalRuntime`.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(tokio::task::spawn_local(self.track(future, Location::caller())))
    }

    fn track<F>(self, future: F, caller: &'static Location<'static>) -> Tracked<F> {
        Tracked::new(future, Site::of::<F>(caller), self.name.map(Box::from))
    }
}
