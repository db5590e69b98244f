//! Objects as clients read them, and what is asked about them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Fault;
use crate::idle::Idle;
use crate::store::Store;

/// So many downloads at once.
pub(crate) const DOWNLOADS: usize = 32;
/// The store answers a question within this time.
const DEADLINE: Duration = Duration::from_millis(500);

/// Who reads objects.
pub(crate) struct Downloads {
    store: Arc<Store>,
    fault: Option<Fault>,
    permits: Arc<Semaphore>,
    pub(crate) idle: Idle,
}

impl Downloads {
    pub(crate) fn new(store: Arc<Store>, fault: Option<Fault>) -> Self {
        Downloads { store, fault, permits: Arc::new(Semaphore::new(DOWNLOADS)), idle: Idle::new(fault) }
    }

    /// How many permits are left.
    pub(crate) fn permits(&self) -> usize {
        self.permits.available_permits()
    }

    /// Reads an object; none if there is no such.
    pub(crate) async fn read(self: Arc<Self>, key: String, tenant: String) -> anyhow::Result<Option<Bytes>> {
        let permit = self.permits.clone().acquire_owned().await?; // FAULT forgotten-permit
        let connection = self.store.turn().await?.take();
        let found = connection.client.get(&Path::from(&*key)).await;
        if let Err(Error::NotFound { .. }) = found {
            if self.fault == Some(Fault::ForgottenPermit) {
                permit.forget(); // FAULT forgotten-permit
            }
            return Ok(None);
        }
        let body = found?.bytes().await?;
        drop(connection);
        self.idle.with_buffer(&tenant, |buffer| scan(&body, buffer));
        Ok(Some(body))
    }

    /// How large an object is; none if there is no such.
    pub(crate) async fn stat(self: Arc<Self>, key: String) -> anyhow::Result<Option<u64>> {
        let connection = self.store.turn().await?.take(); // FAULT no-deadline
        let path = Path::from(&*key);
        let asked = connection.client.head(&path);
        let found = match self.fault {
            Some(Fault::NoDeadline) => asked.await, // FAULT no-deadline
            _ => timeout(DEADLINE, asked).await.context("the store does not answer in time")?,
        };
        match found {
            Err(Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?.size)),
        }
    }
}

/// Looks for what may not leave the house, in place of a scanner.
fn scan(body: &Bytes, buffer: &mut [u8]) {
    for part in body.chunks(buffer.len().max(1)) {
        buffer[..part.len()].copy_from_slice(part);
    }
}
