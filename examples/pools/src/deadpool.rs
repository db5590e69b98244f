//! deadpool: its manager keeps beside each connection what diag knows of it, from when it is made until the pool drops it.

use deadpool::managed::{Manager, Metrics, Object, RecycleResult};
use diag::resource::{Resource, create};

/// Dials.
#[derive(Debug)]
pub struct Dialer;

impl Manager for Dialer {
    /// The connection itself would stand beside it.
    type Type = Resource;
    type Error = std::convert::Infallible;

    async fn create(&self) -> Result<Resource, Self::Error> {
        Ok(create("deadpool connection"))
    }

    async fn recycle(&self, _: &mut Resource, _: &Metrics) -> RecycleResult<Self::Error> {
        Ok(())
    }
}

/// A connection that somebody has, until this is dropped.
#[derive(Debug)]
pub struct Taken(pub Object<Dialer>);

/// Says that the caller's line has it: `taken(pool.get().await?)`.
#[track_caller]
pub fn taken(connection: Object<Dialer>) -> Taken {
    connection.in_use();
    Taken(connection)
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.idle();
    }
}
