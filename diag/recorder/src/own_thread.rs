//! Which threads are the recorder's own, so that nobody takes their CPU time for the service's.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::core_layout::Table;
use crate::{fork, sys};

/// There are never so many at once.
const MAX: usize = 32;
/// The process and the kernel's id of each: a child inherits the table, and not the threads.
static OWN: [AtomicU64; MAX] = [const { AtomicU64::new(0) }; MAX];

/// The calling thread is one of the recorder's until this is dropped.
#[must_use = "dropped, the thread counts as the service's"]
pub(crate) struct OwnThread(Option<(&'static AtomicU64, u64)>);

impl OwnThread {
    /// Of the calling thread.
    pub(crate) fn here() -> Self {
        let Some(mark) = sys::thread_id().map(mark) else { return OwnThread(None) };
        OwnThread(OWN.iter().find(|place| take(place, mark)).map(|place| (place, mark)))
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        if let Some((place, mark)) = self.0 {
            // Relaxed: the word says all that there is. In a child it may be another's by now.
            let _ = place.compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Whether the thread of this id is the recorder's.
pub(crate) fn is_own(tid: u32) -> bool {
    OWN.iter().any(|place| place.load(Ordering::Relaxed) == mark(tid))
}

/// What a reader of cores is told of them: for each the number of its process above its id.
pub(crate) const fn core_table() -> Table {
    Table::at("own_threads", size_of::<AtomicU64>(), &[], (&raw const OWN).cast_mut().cast(), MAX)
}

fn mark(tid: u32) -> u64 {
    u64::from(fork::process().get()) << 32 | u64::from(tid)
}

/// Takes a place that is free, or that a thread of a parent process has left.
fn take(place: &AtomicU64, mark: u64) -> bool {
    // Relaxed: the word says all that there is.
    let before = place.load(Ordering::Relaxed);
    before >> 32 != mark >> 32
        && place.compare_exchange(before, mark, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_own_as_long_as_it_says() {
        let Some(tid) = sys::thread_id() else { return };
        assert!(!is_own(tid));
        let own = OwnThread::here();
        assert!(is_own(tid));
        assert_ne!(sys::forked(|| !is_own(tid)), Some(false), "the thread of a child is another");
        drop(own);
        assert!(!is_own(tid));
    }

    #[test]
    fn what_a_parent_left_is_taken_over() {
        let place = AtomicU64::new(7 << 32 | 41);
        assert!(!take(&place, 7 << 32 | 42), "that one is at work");
        assert!(take(&place, 8 << 32 | 42));
        assert_eq!(place.load(Ordering::Relaxed), 8 << 32 | 42);
    }
}
