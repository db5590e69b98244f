//! Reading what is new in the places, beside whoever waits for it: a page does not wait for fifty files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::{Library, Listing, Origin, blocking, listing, lock};

/// A page is shown after so long with what there is.
const PAGE_WITHIN: Duration = Duration::from_millis(700);

/// How long somebody waits for what takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As a person does before a blank page.
    Page,
    /// Until it is there.
    Whole,
}

impl Patience {
    /// The outcome, unless it takes too long.
    pub(crate) async fn wait<T>(self, outcome: impl Future<Output = T>) -> Option<T> {
        match self {
            Patience::Page => timeout(PAGE_WITHIN, outcome).await.ok(),
            Patience::Whole => Some(outcome.await),
        }
    }
}

/// How much of what is new is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    pub(crate) all: u64,
}

/// One reads at a time; what is being read is counted.
#[derive(Default)]
pub(crate) struct Reading {
    turn: Arc<tokio::sync::Mutex<()>>,
    done: AtomicU64,
    all: AtomicU64,
}

impl Reading {
    pub(super) fn progress(&self) -> Option<Progress> {
        let progress = Progress { done: self.done.load(Relaxed), all: self.all.load(Relaxed) };
        (progress.all > 0).then_some(progress)
    }
}

impl Library {
    /// All that is in the places now, or as much of it as can be read in this time. Reading goes on.
    pub(super) async fn read(self: &Arc<Self>, patience: Patience) -> Listing {
        let work = async {
            let turn = Arc::clone(&self.reading.turn).lock_owned().await;
            let library = Arc::clone(self);
            blocking(move || {
                let _turn = turn;
                library.read_all()
            })
            .await
        };
        match patience.wait(work).await {
            Some(listing) => listing.unwrap_or_default(),
            None => self.so_far(),
        }
    }

    /// Reads what came since it was last looked, if anything did.
    pub(super) async fn look_again(self: &Arc<Self>) {
        let library = Arc::clone(self);
        let origins = blocking(move || library.origins(&mut Vec::new())).await.unwrap_or_default();
        let is_new = *lock(&self.looked) != origins.into_iter().collect::<BTreeSet<_>>();
        if is_new {
            self.read(Patience::Page).await;
        }
    }

    /// What was read.
    fn so_far(&self) -> Listing {
        let known = lock(&self.known).clone();
        let reading = self.reading.progress();
        Listing { reading, ..listing(known.values(), Vec::new()) }
    }

    /// What there is in all places, the newest files last.
    fn origins(&self, problems: &mut Vec<String>) -> Vec<Origin> {
        let shots = self.shots.iter().flat_map(|shots| shots.all()).map(|(origin, _)| origin);
        self.files(problems).into_iter().chain(shots).collect()
    }

    fn read_all(&self) -> Listing {
        let mut problems = Vec::new();
        let origins = self.origins(&mut problems);
        let is_known = |origin: &Origin| lock(&self.known).contains_key(origin);
        let new: Vec<&Origin> = origins.iter().filter(|origin| !is_known(origin)).collect();
        self.reading.done.store(0, Relaxed);
        self.reading.all.store(new.len() as u64, Relaxed);
        // The newest say most.
        for origin in new.into_iter().rev() {
            if let Some(entry) = self.entry(origin).filter(|_| !is_known(origin)) {
                lock(&self.known).insert(origin.clone(), entry);
            }
            self.reading.done.fetch_add(1, Relaxed);
        }
        self.reading.all.store(0, Relaxed);
        self.finish(origins, problems)
    }

    /// Forgets what is no longer there.
    fn finish(&self, origins: Vec<Origin>, problems: Vec<String>) -> Listing {
        let origins: BTreeSet<Origin> = origins.into_iter().collect();
        let mut known = lock(&self.known);
        known.retain(|origin, _| origins.contains(origin));
        let listing = listing(known.values(), problems);
        {
            let mut seen = lock(&self.seen);
            seen.snapshots = listing.snapshots.len();
            seen.newest_unix_us = listing.snapshots.last().map(|newest| newest.taken_unix_us);
            seen.unreadable = known.values().filter(|entry| entry.is_err()).count();
        }
        // What could not be read is tried again: a file may become readable without a new time.
        known.retain(|_, entry| entry.is_ok());
        *lock(&self.looked) = origins;
        listing
    }
}
