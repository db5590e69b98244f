//! Name and labels of the task in a record: set by its spawn, replaced by its poller, read by captures.
//!
//! A reader marks the pointer while it takes a reference, and takes the mark away after that. A poller that replaces what is
//! marked does not wait: it leaves what it replaced to the reader, which finds its mark gone and drops it. So neither a poll
//! nor a capture ever has what the other has freed.
//!
//! | step | poller | reader |
//! |---|---|---|
//! | 1 | | CAS `p` to `p + READING`, Acquire |
//! | 2 | swap to `q`, AcqRel: drops `p`, or not if it was marked | takes a reference of `p` |
//! | 3 | | CAS `p + READING` to `p`, Release; if that fails, `p` is the reader's to drop |

use std::mem::ManuallyDrop;
use std::thread;

use super::super::labels::Labels;
use super::super::state::LABELLED;
use super::TaskRecord;
use crate::sync::atomic::Ordering;

/// Of the pointer: a reader is taking a reference.
const READING: usize = 1;
/// So often a reader gives way to another, which takes some nanoseconds unless it is suspended. One that a forked child has
/// of its parent never ends.
const READ_TRIES: usize = 1_000;

impl TaskRecord {
    /// Name and labels of a task.
    ///
    /// # Safety
    /// The record is polled or owned by the caller, who replaces nothing as long as they are used.
    pub(crate) unsafe fn beside(&self) -> Option<ManuallyDrop<Labels>> {
        // SAFETY: made by `open` or `label_by_span`; who might drop them, which is the caller, does not.
        unsafe { Labels::from_raw(unmarked(self.poller.beside.load(Ordering::Relaxed))) }
            .map(ManuallyDrop::new)
    }

    /// Name and labels of a task, for a reader.
    ///
    /// # Safety
    /// The record is pinned by the caller.
    pub(crate) unsafe fn read_beside(&self) -> Option<Labels> {
        let beside = &self.poller.beside;
        for _ in 0..READ_TRIES {
            let raw = beside.load(Ordering::Relaxed);
            if raw.is_null() {
                return None;
            }
            let marked = raw.map_addr(|address| address | READING);
            // Acquire: pairs with the Release of whoever put it there.
            let is_ours = raw != marked
                && beside.compare_exchange(raw, marked, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if !is_ours {
                thread::yield_now();
                continue;
            }
            // SAFETY: while it is marked, it is not dropped but here.
            let labels = unsafe { Labels::from_raw(raw) }.map(ManuallyDrop::new)?;
            let taken = Labels::clone(&labels);
            if beside.compare_exchange(marked, raw, Ordering::Release, Ordering::Relaxed).is_err() {
                drop(ManuallyDrop::into_inner(labels));
            }
            return Some(taken);
        }
        None
    }

    /// True if there is a name or a label.
    #[inline]
    pub(crate) fn has_beside(&self) -> bool {
        !self.poller.beside.load(Ordering::Relaxed).is_null()
    }

    /// The polls of the task say on their thread whose they are, so that it can be labelled by spans. Its spawn's only.
    pub(crate) fn follow(&self) {
        self.shared.state.fetch_or(LABELLED, Ordering::Relaxed);
    }

    /// The poll under way is in a span with these labels. The poller's only.
    pub(crate) fn label_by_span(&self, span: &Labels) {
        // SAFETY: the caller polls the task, and replaces them when they are used no more.
        let beside = unsafe { self.beside() };
        if beside.as_ref().is_some_and(|beside| beside.say(span)) {
            return;
        }
        let own = beside.as_ref().and_then(|beside| beside.own()).cloned();
        if let Some(labels) = Labels::in_span(own, span) {
            self.replace_beside(labels);
        }
    }

    fn replace_beside(&self, labels: Labels) {
        // AcqRel: pairs with the Acquire of the next reader, and with the Release of the last one.
        let before = self.poller.beside.swap(labels.into_raw(), Ordering::AcqRel);
        if before == unmarked(before) {
            // SAFETY: it was the record's, and no reader has marked it.
            drop(unsafe { Labels::from_raw(before) });
        }
    }

    /// Of a record that is the caller's to free.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_beside(&self) {
        let beside = self.poller.beside.swap(std::ptr::null_mut(), Ordering::Acquire);
        // SAFETY: it is the record's; that is ours alone, so nobody reads it.
        drop(unsafe { Labels::from_raw(unmarked(beside)) });
    }
}

fn unmarked(raw: *mut ()) -> *mut () {
    raw.map_addr(|address| address & !READING)
}
