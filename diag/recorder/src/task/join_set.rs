//! `JoinSet`: tokio's, with a handle of each entry's record until the entry leaves the set.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::task::{Context, Poll};

use diag_snapshot::CancelBy;
use tokio::runtime::Handle;
use tokio::task::{Id, JoinError};

use super::blocking::TrackedFn;
use super::future::Tracked;
use super::handle::{AbortHandle, TaskRef};
use super::local_set::LocalSet;
use super::site::Kind;
use super::spawn::Spawn;

/// A collection of tasks spawned on a runtime, as [`tokio::task::JoinSet`].
///
/// Tasks are aborted when the set is dropped, and an ended task keeps its memory until it is joined.
pub struct JoinSet<T> {
    inner: tokio::task::JoinSet<T>,
    entries: HashMap<Id, TaskRef>,
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        JoinSet { inner: tokio::task::JoinSet::new(), entries: HashMap::new() }
    }

    /// Tasks in the set, running or ended.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// True if there is no task in the set.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let (record, handle, cell) = Spawn::new(Location::caller(), Kind::Task).begin::<F>();
        let inner = self.inner.spawn(Tracked::new(task, record));
        drop(cell);
        self.add(inner, handle)
    }

    /// Spawns a task on the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let (record, entry, cell) = Spawn::new(Location::caller(), Kind::Task).begin::<F>();
        let inner = self.inner.spawn_on(Tracked::new(task, record), handle);
        drop(cell);
        self.add(inner, entry)
    }

    /// Spawns a task on the current `LocalSet` or `LocalRuntime`.
    ///
    /// # Panics
    /// Outside of one.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let (record, handle, cell) = Spawn::new(Location::caller(), Kind::Local).begin::<F>();
        let inner = self.inner.spawn_local(Tracked::new(task, record));
        drop(cell);
        self.add(inner, handle)
    }

    /// Spawns a task on `local_set`.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let (record, handle, cell) = Spawn::new(Location::caller(), Kind::Local).begin::<F>();
        let inner = self.inner.spawn_local_on(Tracked::new(task, record), local_set.tokio());
        drop(cell);
        self.add(inner, handle)
    }

    /// Runs a closure on the blocking threads of the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let (record, handle, cell) = Spawn::new(Location::caller(), Kind::Blocking).begin::<F>();
        let tracked = TrackedFn::new(f, record);
        let inner = self.inner.spawn_blocking(move || tracked.run());
        drop(cell);
        self.add(inner, handle)
    }

    /// Runs a closure on the blocking threads of the runtime of `handle`.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let (record, entry, cell) = Spawn::new(Location::caller(), Kind::Blocking).begin::<F>();
        let tracked = TrackedFn::new(f, record);
        let inner = self.inner.spawn_blocking_on(move || tracked.run(), handle);
        drop(cell);
        self.add(inner, entry)
    }

    fn add(&mut self, inner: tokio::task::AbortHandle, entry: TaskRef) -> AbortHandle {
        let handle = AbortHandle::new(inner, entry.clone());
        self.entries.insert(handle.id(), entry);
        handle
    }

    /// Waits for a task to end; `None` if the set is empty. Cancel safe, as tokio's.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](JoinSet::join_next), with the task's id.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// A task that has ended already, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        Some(self.try_join_next_with_id()?.map(|(_, value)| value))
    }

    /// As [`try_join_next`](JoinSet::try_join_next), with the task's id.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let joined = self.inner.try_join_next_with_id()?;
        Some(self.left(joined))
    }

    /// Aborts all tasks and waits until they have ended.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Waits for all tasks and gives their values, in the order in which they ended.
    ///
    /// # Panics
    /// If a task fails with a `JoinError`, after which the others are aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        while let Some(joined) = self.join_next().await {
            match joined {
                Ok(value) => values.push(value),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => panic!("{error}"),
            }
        }
        values
    }

    /// Asks all tasks to stop. They stay in the set until they are joined.
    pub fn abort_all(&mut self) {
        self.ask_all_to_stop(CancelBy::SetAborted);
        self.inner.abort_all();
    }

    /// Lets all tasks go on without the set.
    pub fn detach_all(&mut self) {
        self.entries.clear();
        self.inner.detach_all();
    }

    /// Polls for a task that has ended; `Ready(None)` if the set is empty.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|joined| Some(joined?.map(|(_, value)| value)))
    }

    /// As [`poll_join_next`](JoinSet::poll_join_next), with the task's id.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        let joined = std::task::ready!(self.inner.poll_join_next_with_id(cx));
        Poll::Ready(joined.map(|joined| self.left(joined)))
    }

    /// An entry has left the set.
    fn left(&mut self, joined: Result<(Id, T), JoinError>) -> Result<(Id, T), JoinError> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        if let Some(entry) = self.entries.remove(&id) {
            entry.tell(&joined);
        }
        joined
    }
}

impl<T> JoinSet<T> {
    fn ask_all_to_stop(&self, by: CancelBy) {
        self.entries.values().for_each(|entry| entry.ask_to_stop(by));
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.ask_all_to_stop(CancelBy::SetDropped);
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(tasks: I) -> Self {
        let mut set = JoinSet::new();
        set.extend(tasks);
        set
    }
}

impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, tasks: I) {
        for task in tasks {
            self.spawn(task);
        }
    }
}
