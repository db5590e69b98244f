//! What the clients of tokio-console share: the newest moment of the service, and whether they want more of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console_api::instrument::Temporality;
use tokio::sync::{Notify, watch};

use super::moment::Moment;

/// The newest moment, for all who watch.
#[derive(Debug)]
pub(super) struct Feed {
    latest: watch::Sender<Option<Arc<Moment>>>,
    temporality: watch::Sender<Temporality>,
    /// Somebody came to whom nothing can be shown yet, or wants to go on.
    is_stirred: Notify,
    /// Tasks whose pages are open, and how many pages.
    watched: Mutex<BTreeMap<u64, usize>>,
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            latest: watch::Sender::new(None),
            temporality: watch::Sender::new(Temporality::Live),
            is_stirred: Notify::new(),
            watched: Mutex::default(),
        }
    }
}

impl Feed {
    /// The newest moment from now on: none before the service has answered.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<Moment>>> {
        let latest = self.latest.subscribe();
        if latest.borrow().is_none() {
            self.is_stirred.notify_one();
        }
        latest
    }

    pub(super) fn publish(&self, moment: Arc<Moment>) {
        self.latest.send_replace(Some(moment));
    }

    /// Nobody listens where the service was: all that it had is gone.
    pub(super) fn end_process(&self) {
        self.latest.send_if_modified(|latest| {
            let gone =
                latest.as_ref().filter(|moment| !moment.is_empty()).map(|moment| moment.after_the_end());
            let is_modified = gone.is_some();
            if let Some(gone) = gone {
                *latest = Some(Arc::new(gone));
            }
            is_modified
        });
    }

    /// Waits until somebody watches and has not paused. Who comes when nobody did is shown nothing old, and nothing paused.
    pub(super) async fn is_wanted(&self) {
        loop {
            let is_watched = self.latest.receiver_count() > 0;
            if is_watched && *self.temporality.borrow() == Temporality::Live {
                return;
            }
            if !is_watched {
                self.latest.send_replace(None);
                self.set(Temporality::Live);
                // One that came meanwhile may have seen what was old, and has stirred nobody.
                if self.latest.receiver_count() > 0 {
                    continue;
                }
            }
            // Of a client that leaves nobody is told; but then nobody is asked either.
            self.is_stirred.notified().await;
        }
    }

    /// Waits until somebody wants more at once.
    pub(super) async fn stirred(&self) {
        self.is_stirred.notified().await;
    }

    pub(super) fn pause(&self) {
        self.set(Temporality::Paused);
    }

    pub(super) fn resume(&self) {
        self.set(Temporality::Live);
        self.is_stirred.notify_one();
    }

    pub(super) fn temporality(&self) -> watch::Receiver<Temporality> {
        self.temporality.subscribe()
    }

    fn set(&self, temporality: Temporality) {
        self.temporality.send_if_modified(|now| std::mem::replace(now, temporality) != temporality);
    }

    /// Remembers that the page of a task is open, for as long as what it returns is there.
    pub(super) fn open_page(self: &Arc<Self>, task: u64) -> OpenPage {
        *self.pages().entry(task).or_default() += 1;
        OpenPage { feed: Arc::clone(self), task }
    }

    /// The tasks whose pages are open.
    pub(super) fn watched(&self) -> BTreeSet<u64> {
        self.pages().keys().copied().collect()
    }

    fn pages(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open page of a task.
#[derive(Debug)]
pub(super) struct OpenPage {
    feed: Arc<Feed>,
    task: u64,
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        let mut pages = self.feed.pages();
        if let Some(open) = pages.get_mut(&self.task) {
            *open -= 1;
            if *open == 0 {
                pages.remove(&self.task);
            }
        }
    }
}
