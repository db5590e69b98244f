//! What a handler waits for, and takes with it when its client has gone.

use std::pin::Pin;
use std::task::{Context, Poll};

use diag::task::JoinHandle;

/// A task that is aborted when nobody waits for it any more.
pub(crate) struct Work<T>(pub(crate) JoinHandle<anyhow::Result<T>>);

impl<T> Future for Work<T> {
    type Output = anyhow::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|ended| ended.map_err(anyhow::Error::from).flatten())
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
