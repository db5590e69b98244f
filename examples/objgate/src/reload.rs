//! The configuration, and the task that looks whether its file has changed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diag::task::JoinHandle;
use tokio::time::interval;

use crate::Fault;

const EVERY: Duration = Duration::from_millis(200);

/// The configuration of the gateway.
pub(crate) struct Configuration {
    file: Arc<PathBuf>,
    fault: Option<Fault>,
    watcher: Mutex<Option<JoinHandle<()>>>,
    pub(crate) reloads: AtomicU64,
}

impl Configuration {
    pub(crate) fn new(file: PathBuf, fault: Option<Fault>) -> Self {
        Configuration { file: Arc::new(file), fault, watcher: Mutex::default(), reloads: AtomicU64::new(0) }
    }

    /// Reads it again, and has the file watched.
    pub(crate) fn reload(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        let watcher = diag::spawn(watch(self.file.clone())); // FAULT reload-watcher
        let old = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).replace(watcher);
        if self.fault != Some(Fault::ReloadWatcher) {
            old.inspect(JoinHandle::abort);
        }
    }
}

async fn watch(file: Arc<PathBuf>) {
    let mut rounds = interval(EVERY);
    loop {
        rounds.tick().await; // FAULT reload-watcher
        let size = tokio::fs::metadata(&*file).await.map_or(0, |found| found.len());
        diag::gauge("configuration_bytes").set(size as i64);
    }
}
