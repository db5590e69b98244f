//! The S3 server as the gateway sees it: one client with a pool of connections, and turns for them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Fault;
use crate::client::Pooled;
use crate::s3::{BUCKET, KEY, SECRET};

/// So many connections may be in use at once.
const CONNECTIONS: usize = 256;

/// The store behind the gateway.
pub(crate) struct Store {
    endpoint: String,
    fault: Option<Fault>,
    client: Arc<AmazonS3>,
    connections: Arc<Semaphore>,
    /// Clients to be closed at shutdown.
    made: Mutex<Vec<Arc<AmazonS3>>>,
}

impl Store {
    pub(crate) fn new(endpoint: String, fault: Option<Fault>) -> anyhow::Result<Self> {
        let client = Arc::new(build(&endpoint, Pooled::new())?);
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Store { endpoint, fault, client, connections, made: Mutex::default() })
    }

    /// The client for an upload.
    pub(crate) fn client(&self) -> anyhow::Result<Arc<AmazonS3>> {
        if self.fault != Some(Fault::ClientPerCall) {
            return Ok(self.client.clone());
        }
        let client = Arc::new(build(&self.endpoint, Pooled::new())?); // FAULT client-per-call
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(client.clone());
        Ok(client)
    }

    /// Waits until a connection may be used.
    pub(crate) async fn turn(&self) -> anyhow::Result<Turn> {
        let permit = self.connections.clone().acquire_owned().await.context("the store is closed")?;
        Ok(Turn { permit, client: self.client.clone() })
    }

    /// How many connections are in use, and how many clients were made beside the first.
    pub(crate) fn counts(&self) -> [usize; 2] {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).len();
        [CONNECTIONS - self.connections.available_permits(), made]
    }
}

/// The right to use a connection.
pub(crate) struct Turn {
    permit: OwnedSemaphorePermit,
    client: Arc<AmazonS3>,
}

impl Turn {
    /// The caller's line has the connection from now on.
    #[track_caller]
    pub(crate) fn take(self) -> Connection {
        Connection {
            client: self.client,
            _permit: self.permit,
            _in_use: diag::resource::acquire("S3 connection"),
        }
    }
}

/// A connection in use, until this is dropped.
pub(crate) struct Connection {
    pub(crate) client: Arc<AmazonS3>,
    _permit: OwnedSemaphorePermit,
    _in_use: diag::resource::InUse,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Deadlines are each caller's: a part of a slow client takes long.
fn build(endpoint: &str, connector: Pooled) -> anyhow::Result<AmazonS3> {
    let options = ClientOptions::new().with_allow_http(true).with_timeout_disabled();
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_region("loopback")
        .with_bucket_name(BUCKET)
        .with_access_key_id(KEY)
        .with_secret_access_key(SECRET)
        .with_unsigned_payload(true)
        .with_client_options(options)
        .with_http_connector(connector);
    builder.build().context("building a client of the store")
}
