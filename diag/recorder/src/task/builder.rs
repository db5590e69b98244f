//! `Builder`: spawning with a name and labels, as tokio's own builder does where that is stable.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::panic::Location;

use tokio::runtime::Handle;

use super::blocking::TrackedFn;
use super::future::Tracked;
use super::handle::JoinHandle;
use super::labels::Labels;
use super::labels::in_force::inherited;
use super::local_set::LocalSet;
use super::scope::with_label;
use super::site::Kind;
use super::spawn::Spawn;

/// Options of a task to be spawned, by the names of tokio's `task::Builder`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let device = diag::task::Builder::new().name("device 17").spawn(async { "online" })?;
/// assert_eq!(device.await.unwrap(), "online");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder<'a> {
    name: Option<&'a str>,
    labels: Option<Labels>,
    untraced: bool,
}

impl<'a> Builder<'a> {
    /// No options set.
    pub fn new() -> Self {
        Builder::default()
    }

    /// Names the task in dumps, snapshots and pages. A copy is kept while the task lives.
    pub fn name(self, name: &'a str) -> Self {
        Builder { name: Some(name), ..self }
    }

    /// Labels the task and whatever it spawns, as a [`scope`](super::scope()) does: beside the labels of the task or scope that this
    /// is called in, but for one of the same key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// let upload = diag::task::Builder::new().label("tenant", "acme").label("part", 42).spawn(async {})?;
    /// # upload.await.unwrap();
    /// # Ok(()) }
    /// ```
    pub fn label(self, key: &str, value: impl Display) -> Self {
        Builder { labels: with_label(self.labels.or_else(inherited), key, value), ..self }
    }

    /// Where this task is parked is not looked at: its polls borrow no other waker for it, and nobody who asks
    /// has it polled. For futures that mind a waker which is not the one they know, or a poll without a wake.
    pub fn untraced(self) -> Self {
        Builder { untraced: true, ..self }
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
        Ok(self.spec(Location::caller(), Kind::Task).on_current_runtime(future))
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
        let (record, task, _cell) = self.spec(Location::caller(), Kind::Task).begin::<F>();
        Ok(JoinHandle::new(handle.spawn(Tracked::new(future, record)), task))
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
        let (record, handle, _cell) = self.spec(Location::caller(), Kind::Local).begin::<F>();
        Ok(JoinHandle::new(tokio::task::spawn_local(Tracked::new(future, record)), handle))
    }

    /// Spawns a `!Send` task on `local_set`.
    ///
    /// # Errors
    /// Never at the moment; tokio's signature.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (record, handle, _cell) = self.spec(Location::caller(), Kind::Local).begin::<F>();
        Ok(JoinHandle::new(local_set.tokio().spawn_local(Tracked::new(future, record)), handle))
    }

    /// Runs a closure on the blocking threads of the current runtime.
    ///
    /// # Errors
    /// Never at the moment; tokio's signature.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (record, handle, _cell) = self.spec(Location::caller(), Kind::Blocking).begin::<F>();
        let tracked = TrackedFn::new(f, record);
        Ok(JoinHandle::new(tokio::task::spawn_blocking(move || tracked.run()), handle))
    }

    fn spec(self, caller: &'static Location<'static>, kind: Kind) -> Spawn {
        Spawn { traced: !self.untraced, ..Spawn::new(caller, kind) }.named(self.name, self.labels)
    }
}
