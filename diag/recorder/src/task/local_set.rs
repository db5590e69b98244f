//! `LocalSet`: tokio's, whose tasks are recorded.

use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Runtime;
use tokio::task::LocalEnterGuard;

use super::future::Tracked;
use super::handle::JoinHandle;
use super::site::Kind;
use super::spawn::Spawn;

/// A set of `!Send` tasks that run on one thread, as [`tokio::task::LocalSet`].
#[derive(Debug, Default)]
pub struct LocalSet {
    inner: tokio::task::LocalSet,
}

impl LocalSet {
    /// An empty set.
    pub fn new() -> Self {
        LocalSet::default()
    }

    /// Makes this the set that [`spawn_local`](super::spawn_local) spawns on, while the guard lives.
    pub fn enter(&self) -> LocalEnterGuard {
        self.inner.enter()
    }

    /// Spawns a task on the set, which runs when the set does.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (record, handle, _cell) = Spawn::new(Location::caller(), Kind::Local).begin::<F>();
        JoinHandle::new(self.inner.spawn_local(Tracked::new(future, record)), handle)
    }

    /// Runs a future on `rt` with the set, until the future is done.
    #[track_caller]
    pub fn block_on<F: Future>(&self, rt: &Runtime, future: F) -> F::Output {
        self.inner.block_on(rt, future)
    }

    /// Runs a future with the set, until the future is done.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.inner.run_until(future).await
    }

    /// tokio's own set.
    pub(super) fn tokio(&self) -> &tokio::task::LocalSet {
        &self.inner
    }
}

/// What tokio's own set can be asked besides, as for its id, with a tokio that has one.
impl Deref for LocalSet {
    type Target = tokio::task::LocalSet;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.inner).poll(cx)
    }
}
