//! The first bytes of an object. Who then reads on finds the body open, for a moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use diag::Counted;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::Fault;
use crate::store::{Connection, Store};

/// A body stays open for so long, and not much longer whatever happens.
const OPEN_FOR: Duration = Duration::from_millis(300);
const CLOSED_WITHIN: Duration = Duration::from_secs(4);

/// The previews that were given.
pub(crate) struct Previews {
    store: Arc<Store>,
    fault: Option<Fault>,
    open: Mutex<Vec<Counted<OpenBody>>>,
}

/// What of a body was not read yet.
struct OpenBody {
    since: Instant,
    _body: BoxStream<'static, object_store::Result<Bytes>>,
    _connection: Connection,
}

impl Previews {
    pub(crate) fn new(store: Arc<Store>, fault: Option<Fault>) -> Self {
        Previews { store, fault, open: Mutex::default() }
    }

    /// The first bytes of an object.
    pub(crate) async fn first(self: Arc<Self>, key: String) -> anyhow::Result<Option<Bytes>> {
        let connection = self.store.turn().await?.take(); // FAULT body-not-drained
        let found = connection.client.get(&Path::from(key)).await?; // FAULT body-not-drained
        let (size, mut body) = (found.meta.size, found.into_stream());
        let first = body.next().await.transpose()?;
        if first.as_ref().map_or(0, Bytes::len) as u64 == size {
            return Ok(first);
        }
        let open = OpenBody { since: Instant::now(), _body: body, _connection: connection };
        let open = Counted::new(open); // FAULT body-not-drained
        self.open().push(open.expect_dropped(CLOSED_WITHIN));
        Ok(first)
    }

    /// Closes the bodies that nobody reads on.
    pub(crate) fn close_old(&self) {
        if self.fault != Some(Fault::BodyNotDrained) {
            self.open().retain(|open| open.since.elapsed() < OPEN_FOR);
        }
    }

    /// How many bodies are open.
    pub(crate) fn len(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> MutexGuard<'_, Vec<Counted<OpenBody>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
