//! `scope`: what is spawned inside of a future, labelled with what it is for.

use std::fmt::{self, Display};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::JoinHandle;
use super::labels::Labels;
use super::labels::in_force::{Entered, inherited};
use super::site::Kind;
use super::spawn::Spawn;

/// Returns a scope: tasks spawned inside of it, and whatever these spawn in their turn, have this label.
///
/// It says for whom a task works: a device, a tenant, a request. Labels of the task or scope that this is called in stay in
/// force, but for one of the same key. A key has 64 bytes, a value 128; what is longer is cut. A task has eight labels, and a
/// process 16 MiB of them or 64 different keys: one more is left out, and every snapshot says how many were.
///
/// Services with `tracing` have labels from their spans by the package `diag-tracing`.
///
/// A label never becomes a label of a metric, so that values may be as many as there are devices. Snapshots and pages show
/// them: a secret is no label.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// async fn serve() {
///     diag::spawn(async { /* has the label, as its parent has */ });
/// }
/// let session = diag::scope("device", 17).spawn(serve());
/// session.await.unwrap();
/// # }
/// ```
pub fn scope(key: &str, value: impl Display) -> Scope {
    Scope { labels: inherited() }.label(key, value)
}

/// Labels for whatever is spawned inside, made by [`scope`].
#[derive(Clone, Debug)]
#[must_use = "a scope labels what it runs or spawns, and nothing by itself"]
pub struct Scope {
    labels: Option<Labels>,
}

impl Scope {
    /// Adds a label, in the place of one of the same key.
    pub fn label(self, key: &str, value: impl Display) -> Self {
        Scope { labels: with_label(self.labels, key, value) }
    }

    /// Spawns a task with these labels, as [`diag::spawn`](crate::spawn).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let spawn = Spawn { beside: self.labels.clone(), ..Spawn::new(Location::caller(), Kind::Task) };
        spawn.on_current_runtime(future)
    }

    pub(super) fn labels(&self) -> Option<Labels> {
        self.labels.clone()
    }

    /// Runs a future in which whatever is spawned has these labels, at whichever `.await`. The task that runs it has not:
    /// its labels were settled when it was spawned. Instead of `diag::spawn(scope.run(future))`, use
    /// [`spawn`](Scope::spawn).
    pub fn run<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped { future: ManuallyDrop::new(future), labels: self.labels.clone() }
    }

    /// Calls a closure in which whatever is spawned has these labels, by a [`JoinSet`](super::JoinSet) for instance.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = self.labels.as_ref().map(Entered::now);
        f()
    }
}

/// A label more, unless nothing is recorded.
pub(super) fn with_label(labels: Option<Labels>, key: &str, value: impl Display) -> Option<Labels> {
    if crate::is_recording() { Labels::with(labels, key, value) } else { labels }
}

/// A future in a scope, made by [`Scope::run`].
#[must_use = "futures do nothing unless polled"]
pub struct Scoped<F> {
    future: ManuallyDrop<F>,
    labels: Option<Labels>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let _entered = this.labels.as_ref().map(Entered::now);
        // SAFETY: the future is pinned with us: it is only ever used through this pin, and dropped in
        // place by our `drop`.
        unsafe { Pin::new_unchecked(&mut *this.future) }.poll(cx)
    }
}

impl<F> Drop for Scoped<F> {
    fn drop(&mut self) {
        // What destructors spawn, to clean up behind a cancelled future, is for whom that was.
        let _entered = self.labels.as_ref().map(Entered::now);
        // SAFETY: dropped here and nowhere else, in place.
        unsafe { ManuallyDrop::drop(&mut self.future) }
    }
}

impl<F: fmt::Debug> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("future", &*self.future).field("labels", &self.labels).finish()
    }
}
