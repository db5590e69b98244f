//! All uploads that are open, what is open at the store, and the task that gives up those whose client has not come back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use diag::Counted;
use object_store::MultipartId;
use tokio::time::interval;

use crate::Fault;
use crate::audit::Audit;
use crate::store::Store;
use crate::upload::Upload;

/// An upload is given up if its client has been away for so long.
const TTL: Duration = Duration::from_millis(1500);
/// What is open at the store is closed there within this time after its last part, whatever its client does.
const CLOSED_WITHIN: Duration = Duration::from_secs(8);

/// All uploads.
pub(crate) struct Uploads {
    store: Arc<Store>,
    fault: Option<Fault>,
    audit: Audit,
    open: Mutex<HashMap<String, Arc<Upload>>>,
    /// Those whose parts the store has, and may be paid for.
    at_store: Mutex<HashMap<MultipartId, Counted<OpenMultipart>>>,
    /// How many were opened, completed and given up.
    pub(crate) opened: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) given_up: AtomicU64,
}

/// An upload that the store has neither put together nor forgotten.
struct OpenMultipart;

impl Uploads {
    /// Starts without any.
    pub(crate) fn start(store: Arc<Store>, fault: Option<Fault>, audit: Audit) -> Arc<Self> {
        let uploads = Arc::new(Uploads {
            store,
            fault,
            audit,
            open: Mutex::default(),
            at_store: Mutex::default(),
            opened: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
        });
        diag::spawn(evict(uploads.clone())); // FAULT dead-evictor
        uploads
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are open.
    pub(crate) fn all(&self) -> Vec<Arc<Upload>> {
        self.open().values().cloned().collect()
    }

    /// How many are open at the store.
    pub(crate) fn at_store(&self) -> usize {
        self.at_store.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The upload of a key.
    pub(crate) fn get(&self, key: &str) -> anyhow::Result<Arc<Upload>> {
        self.open().get(key).cloned().context("no such upload is open")
    }

    /// Opens one.
    pub(crate) async fn create(&self, key: &str, parts: usize) -> anyhow::Result<()> {
        let upload = Arc::new(Upload::open(self.store.clone(), self.fault, key, parts).await?);
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.is_at_store(&upload.id);
        self.open().insert(key.to_owned(), upload);
        Ok(())
    }

    /// The store has it open, from now on or still.
    pub(crate) fn is_at_store(&self, id: &MultipartId) {
        let mut at_store = self.at_store.lock().unwrap_or_else(PoisonError::into_inner);
        let open = at_store.remove(id).unwrap_or_else(|| Counted::new(OpenMultipart)); // FAULT orphaned-parts
        at_store.insert(id.clone(), open.expect_dropped(CLOSED_WITHIN));
    }

    fn is_gone(&self, id: &MultipartId) {
        self.at_store.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Puts one together.
    pub(crate) async fn complete(&self, key: &str) -> anyhow::Result<()> {
        let upload = self.get(key)?;
        upload.complete().await?;
        self.open().remove(key);
        self.is_gone(&upload.id);
        self.completed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives one up: its tasks are to end, and the store to forget its parts.
    pub(crate) async fn give_up(&self, key: &str, reason: &str) -> anyhow::Result<()> {
        let upload = self.open().remove(key).context("no such upload is open")?;
        upload.cancel(reason);
        self.given_up.fetch_add(1, Ordering::Relaxed);
        if self.fault == Some(Fault::OrphanedParts) {
            return Ok(());
        }
        upload.abort().await?;
        self.is_gone(&upload.id);
        Ok(())
    }
}

/// Gives up the uploads whose clients have not come back.
async fn evict(uploads: Arc<Uploads>) {
    let mut rounds = interval(TTL / 6);
    loop {
        rounds.tick().await;
        let idle = uploads.all().into_iter().filter(|upload| upload.is_idle_for(TTL));
        for upload in idle.collect::<Vec<_>>() {
            let [bytes, parts] = upload.size();
            let mean = match uploads.fault {
                Some(Fault::DeadEvictor) => bytes / parts, // FAULT dead-evictor
                _ => bytes.checked_div(parts).unwrap_or(0),
            };
            let given_up = uploads.give_up(&upload.key, "its client did not come back").await;
            // Not as `Debug`: that has the frames of the error's backtrace named, which takes megabytes.
            let failed = given_up.err().map_or_else(String::new, |error| format!(": {error:#}"));
            let outcome = format!("{parts} parts of {mean} bytes{failed}");
            uploads.audit.tell("expire", &upload.key, outcome);
        }
    }
}
