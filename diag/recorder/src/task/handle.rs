//! `JoinHandle` and `AbortHandle`: tokio's, which also tell the record that they exist and who asks a
//! task to stop.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use diag_snapshot::CancelBy;
use tokio::task::{Id, JoinError};

use super::cancel::Cancel;
use super::context;
use super::record::TaskRecord;

/// One counted handle of a task's record; none if the task is not recorded, or has too many to count.
pub(super) struct TaskRef(Option<&'static TaskRecord>);

impl TaskRef {
    /// The handle that every spawn makes.
    #[inline]
    pub(super) fn of_spawn(record: Option<&'static TaskRecord>) -> Self {
        TaskRef(record)
    }

    /// The task is asked to stop, just before it is.
    pub(super) fn ask_to_stop(&self, by: CancelBy) {
        if let Some(record) = self.0 {
            record.ask_to_stop(Cancel::now(by));
        }
    }

    /// Whoever has a handle is told how the task ended.
    #[inline]
    pub(super) fn tell<T>(&self, joined: &Result<T, JoinError>) {
        if let (Err(error), Some(record)) = (joined, self.0)
            && error.is_panic()
        {
            record.observe_panic();
        }
    }

    /// The handle becomes one of tokio's, which is not counted.
    fn give_away(self) {
        if let Some(record) = self.0 {
            record.give_away_handle();
        }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        TaskRef(self.0.filter(|record| record.add_handle()))
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        if let Some(record) = self.0
            && record.drop_handle()
        {
            context::free_record(record);
        }
    }
}

/// An owned permission to join on a task, as [`tokio::task::JoinHandle`].
///
/// Dropping it detaches the task. Where other code asks for tokio's own type, use
/// [`into_tokio`](JoinHandle::into_tokio).
pub struct JoinHandle<T> {
    inner: tokio::task::JoinHandle<T>,
    task: TaskRef,
}

impl<T> JoinHandle<T> {
    #[inline]
    pub(super) fn new(inner: tokio::task::JoinHandle<T>, task: TaskRef) -> Self {
        JoinHandle { inner, task }
    }

    /// Asks the task to stop at its next `.await`, as [`tokio::task::JoinHandle::abort`]. Recorded with
    /// the time, so that a task which goes on nevertheless is seen.
    pub fn abort(&self) {
        self.task.ask_to_stop(CancelBy::Abort);
        self.inner.abort();
    }

    /// True once the task has finished, was cancelled or panicked.
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// A handle that can only abort.
    #[must_use = "abort handles do nothing unless `.abort` is called"]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { inner: self.inner.abort_handle(), task: self.task.clone() }
    }

    /// tokio's id of the task.
    pub fn id(&self) -> Id {
        self.inner.id()
    }

    /// tokio's own handle. From here on an abort is recorded as one by an unknown party, and the
    /// handle is not seen to keep an ended task in memory.
    pub fn into_tokio(self) -> tokio::task::JoinHandle<T> {
        self.task.give_away();
        self.inner
    }
}

impl<T> From<JoinHandle<T>> for tokio::task::JoinHandle<T> {
    fn from(handle: JoinHandle<T>) -> Self {
        handle.into_tokio()
    }
}

impl<T> Unpin for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let joined = Pin::new(&mut self.inner).poll(cx);
        if let Poll::Ready(joined) = &joined {
            self.task.tell(joined);
        }
        joined
    }
}

impl<T: fmt::Debug> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// An owned permission to abort a task, as [`tokio::task::AbortHandle`].
#[derive(Clone)]
pub struct AbortHandle {
    inner: tokio::task::AbortHandle,
    task: TaskRef,
}

impl AbortHandle {
    pub(super) fn new(inner: tokio::task::AbortHandle, task: TaskRef) -> Self {
        AbortHandle { inner, task }
    }

    /// Asks the task to stop at its next `.await`, as [`tokio::task::AbortHandle::abort`].
    pub fn abort(&self) {
        self.task.ask_to_stop(CancelBy::Abort);
        self.inner.abort();
    }

    /// True once the task has finished, was cancelled or panicked.
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// tokio's id of the task.
    pub fn id(&self) -> Id {
        self.inner.id()
    }

    /// tokio's own handle; see [`JoinHandle::into_tokio`].
    pub fn into_tokio(self) -> tokio::task::AbortHandle {
        self.task.give_away();
        self.inner
    }
}

impl From<AbortHandle> for tokio::task::AbortHandle {
    fn from(handle: AbortHandle) -> Self {
        handle.into_tokio()
    }
}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
