//! One upload in parts: what became of each, so that its client can go on where it stopped.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, PutPayload};

use crate::Fault;
use crate::store::Store;
use crate::work::Work;

/// An upload that is open.
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) id: MultipartId,
    client: Arc<AmazonS3>,
    store: Arc<Store>,
    fault: Option<Fault>,
    /// The tasks of its parts.
    group: diag::task::Group,
    state: Mutex<State>,
}

struct State {
    parts: Vec<Part>,
    bytes: usize,
    touched: Instant,
}

/// What became of a part.
#[derive(Clone)]
pub(crate) enum Part {
    /// It has not been sent yet, or not to its end.
    Missing,
    /// It is on its way to the store.
    Pending,
    /// The store has it.
    Uploaded(PartId),
    /// It was on its way when the upload was given up.
    Canceled,
}

impl Part {
    /// Its place among uploaded, pending, canceled and missing.
    pub(crate) fn index(&self) -> usize {
        match self {
            Part::Uploaded(_) => 0,
            Part::Pending => 1,
            Part::Canceled => 2,
            Part::Missing => 3,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Missing => "missing",
            Part::Pending => "pending",
            Part::Uploaded(_) => "uploaded",
            Part::Canceled => "context canceled",
        })
    }
}

impl Upload {
    /// Opens one at the store.
    pub(crate) async fn open(
        store: Arc<Store>,
        fault: Option<Fault>,
        key: &str,
        parts: usize,
    ) -> anyhow::Result<Self> {
        let client = store.client()?;
        let connection = store.turn().await?.take();
        let id = client.create_multipart(&Path::from(key)).await?;
        drop(connection);
        let state = State { parts: vec![Part::Missing; parts], bytes: 0, touched: Instant::now() };
        let group = diag::group("upload", key);
        Ok(Upload { key: key.to_owned(), id, client, store, fault, group, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of each part.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.state().parts.clone()
    }

    fn set(&self, number: usize, part: Part) {
        let mut state = self.state();
        state.touched = Instant::now();
        if let Some(known) = state.parts.get_mut(number) {
            *known = part;
        }
    }

    /// How many bytes and parts the store has.
    pub(crate) fn size(&self) -> [usize; 2] {
        let state = self.state();
        [state.bytes, state.parts.iter().filter(|part| matches!(part, Part::Uploaded(_))).count()]
    }

    /// True if nobody has done anything with it for so long.
    pub(crate) fn is_idle_for(&self, time: Duration) -> bool {
        let state = self.state();
        state.touched.elapsed() >= time && !state.parts.iter().any(|part| matches!(part, Part::Pending))
    }

    /// Sends a part to the store, as a member of the upload's group. `again` if it was sent before.
    pub(crate) async fn put(self: &Arc<Self>, number: usize, body: Bytes, again: bool) -> anyhow::Result<()> {
        let sent = self.clone().send(number, body);
        if again && self.fault == Some(Fault::CancelNotPassed) {
            return Work(self.group.spawn(number, sent)).await; // FAULT cancel-not-passed
        }
        let (canceled, upload) = (self.group.cancelled(), self.clone());
        let part = async move {
            tokio::select! {
                () = canceled => {
                    upload.set(number, Part::Canceled);
                    bail!("context canceled")
                }
                sent = sent => sent,
            }
        };
        Work(self.group.spawn(number, part)).await
    }

    async fn send(self: Arc<Self>, number: usize, body: Bytes) -> anyhow::Result<()> {
        self.set(number, Part::Pending);
        let pending = Pending { upload: &self, number };
        let connection = self.store.turn().await?.take();
        let bytes = body.len();
        let payload = PutPayload::from_bytes(body);
        let path = Path::from(&*self.key);
        let put = self.client.put_part(&path, &self.id, number, payload);
        let id = put.await?; // FAULT cancel-not-passed
        drop(connection);
        std::mem::forget(pending);
        self.state().bytes += bytes;
        self.set(number, Part::Uploaded(id));
        Ok(())
    }

    /// Puts the parts together.
    pub(crate) async fn complete(&self) -> anyhow::Result<()> {
        let id = |part| match part {
            Part::Uploaded(id) => Some(id),
            Part::Missing | Part::Pending | Part::Canceled => None,
        };
        let parts =
            self.parts().into_iter().map(id).collect::<Option<Vec<_>>>().context("parts are missing")?;
        let connection = self.store.turn().await?.take();
        self.client.complete_multipart(&Path::from(&*self.key), &self.id, parts).await?;
        drop(connection);
        Ok(())
    }

    /// Asks the tasks of its parts to end.
    pub(crate) fn cancel(&self, reason: &str) {
        self.group.cancel(format_args!("context canceled: {reason}"));
    }

    /// Has the store forget its parts.
    pub(crate) async fn abort(&self) -> anyhow::Result<()> {
        let connection = self.store.turn().await?.take();
        self.client.abort_multipart(&Path::from(&*self.key), &self.id).await?;
        drop(connection);
        Ok(())
    }
}

/// A part that is on its way; it is missing again if its task is dropped there.
struct Pending<'a> {
    upload: &'a Upload,
    number: usize,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.upload.set(self.number, Part::Missing);
    }
}
