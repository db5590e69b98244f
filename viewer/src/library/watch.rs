//! What is new since a page was made, for those who listen.
//!
//! One task looks for all of them, and ends when the last has gone. It reads what came to folders and knocks at services; it
//! asks none for a snapshot, so that listening costs a service a connection a second, however many listen.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Library, Weight, lock};

/// So many may listen at once; a browser does for each of its pages that is in front.
pub(crate) const LISTENERS: usize = 64;
/// A failure is told within three seconds: this, and as long as a knock may take.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who listens.
pub(crate) struct Watch {
    places: Arc<Semaphore>,
    /// To whom is told; none if nobody listens.
    told: Mutex<Option<watch::Sender<Option<Now>>>>,
}

/// What there is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// What stands on top of pages.
    pub(crate) phrases: Vec<(Weight, String)>,
    /// When each snapshot was taken, in order.
    pub(crate) taken_unix_us: Vec<u64>,
}

/// One who listens; its place is free again when this is dropped.
pub(crate) struct Listener {
    pub(crate) now: watch::Receiver<Option<Now>>,
    pub(crate) place: OwnedSemaphorePermit,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { places: Arc::new(Semaphore::new(LISTENERS)), told: Mutex::default() }
    }
}

impl Now {
    /// How many snapshots are newer than this moment.
    pub(crate) fn newer(&self, than_unix_us: u64) -> usize {
        self.taken_unix_us.len() - self.taken_unix_us.partition_point(|&taken| taken <= than_unix_us)
    }
}

impl Watch {
    /// Tells all who listen; false if nobody does any more.
    fn tell(&self, now: Now) -> bool {
        let mut told = lock(&self.told);
        let Some(sender) = told.as_ref().filter(|sender| sender.receiver_count() > 0) else {
            *told = None;
            return false;
        };
        sender.send_if_modified(|before| {
            let is_new = before.as_ref() != Some(&now);
            *before = Some(now);
            is_new
        });
        true
    }
}

impl Library {
    /// A place among those who listen; none if all are taken.
    pub(crate) fn listen(self: &Arc<Self>) -> Option<Listener> {
        let place = Arc::clone(&self.watch.places).try_acquire_owned().ok()?;
        let mut told = lock(&self.watch.told);
        let now = match told.as_ref() {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, now) = watch::channel(None);
                *told = Some(sender);
                tokio::spawn(look(Arc::downgrade(self)));
                now
            }
        };
        Some(Listener { now, place })
    }

    /// What there is, without asking a service for more.
    async fn now(self: &Arc<Self>) -> Now {
        self.look_again().await;
        Now { phrases: self.state().await.phrases(), taken_unix_us: self.taken() }
    }

    fn taken(&self) -> Vec<u64> {
        let known = lock(&self.known);
        let summaries = known.values().filter_map(|entry| entry.as_ref().ok());
        let mut taken: Vec<(u64, &str)> =
            summaries.map(|summary| (summary.taken_unix_us, summary.id.as_str())).collect();
        taken.sort_unstable();
        taken.dedup();
        taken.into_iter().map(|(taken, _)| taken).collect()
    }
}

/// Looks now and then, for as long as somebody listens.
async fn look(library: Weak<Library>) {
    while let Some(library) = library.upgrade() {
        let now = library.now().await;
        if !library.watch.tell(now) {
            return;
        }
        drop(library);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_what_was_taken_later() {
        let now = Now { taken_unix_us: vec![10, 20, 20, 30], ..Now::default() };
        assert_eq!([0, 10, 19, 20, 30, u64::MAX].map(|than| now.newer(than)), [4, 3, 3, 1, 0, 0]);
    }
}
