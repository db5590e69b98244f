//! The watch: for whoever asks, it looks how large the file of a suite becomes, until the suite ends.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diag::task::JoinHandle;
use tokio::time::interval;

use crate::body::Body;
use crate::plugin::{Plugin, Step, Verdict, nothing};
use crate::suite::Facts;

/// It looks so often.
const EVERY: Duration = Duration::from_millis(50);

/// The watchers of each suite that has begun, by its number.
#[derive(Default)]
pub(crate) struct Watch {
    suites: Mutex<HashMap<u64, Vec<JoinHandle<()>>>>,
    live: Arc<AtomicU64>,
}

/// One more lives, until this is dropped.
struct Live(Arc<AtomicU64>);

impl Live {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Live(count.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watch {
    fn suites(&self) -> MutexGuard<'_, HashMap<u64, Vec<JoinHandle<()>>>> {
        self.suites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many watchers there are.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Watches the file of a suite, whose end ends it; gives the largest size so far.
    pub(crate) fn watch(&self, suite: &Facts) -> Arc<AtomicU64> {
        let bytes = Arc::new(AtomicU64::new(0));
        let watcher = diag::spawn(look(suite.file.clone(), bytes.clone(), Live::new(&self.live))); // FAULT late-init
        // Of a suite that has not begun nobody is told the end.
        if let Some(watchers) = self.suites().get_mut(&suite.number) {
            watchers.push(watcher);
        }
        bytes
    }
}

async fn look(file: PathBuf, largest: Arc<AtomicU64>, _live: Live) {
    let mut rounds = interval(EVERY);
    loop {
        rounds.tick().await;
        // Before the first write there is none.
        let bytes = tokio::fs::metadata(&file).await.map_or(0, |facts| facts.len());
        largest.fetch_max(bytes, Ordering::Relaxed);
    }
}

impl Plugin for Watch {
    fn begin<'a>(&'a self, suite: &'a Facts) -> Step<'a> {
        self.suites().insert(suite.number, Vec::new());
        nothing()
    }

    fn ended<'a>(&'a self, _: &'a Facts, _: Body, _: Verdict) -> Step<'a> {
        nothing()
    }

    fn end<'a>(&'a self, suite: &'a Facts) -> Step<'a> {
        let watchers = self.suites().remove(&suite.number).unwrap_or_default();
        Box::pin(async move {
            for watcher in watchers {
                watcher.abort();
                // That it was asked to end is all that it has to say.
                let _ = watcher.await;
            }
            Ok(())
        })
    }
}
