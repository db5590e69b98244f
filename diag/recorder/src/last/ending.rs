//! Before the process ends: panics, and exits of its own. Whatever was to happen then happens after.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::trigger::Trigger;
use super::{Last, running};
use crate::dropped::Dropped;
use crate::{clock, own_thread, sys};

/// A service that panics over and over has one snapshot in so long: each holds its thread up.
const APART_NS: u64 = 30_000_000_000;

static TOO_SOON: Dropped = Dropped::new(
    "last_snapshots_too_soon",
    "a snapshot that was to be kept apart was not taken, as there was one of its kind in the 30 s before",
);

/// Of its kind, the one that was taken last; 0 for none.
pub(super) struct Apart(AtomicU64);

impl Apart {
    pub(super) const fn new() -> Self {
        Apart(AtomicU64::new(0))
    }

    /// True if the last one was long enough ago; then this one is the last. Else it is counted.
    pub(super) fn may_take(&self) -> bool {
        let now = clock::precise_ns().max(1);
        let before = self.0.load(Ordering::Relaxed);
        let may = before == 0 || now.saturating_sub(before) >= APART_NS;
        // Relaxed: a word by itself. Of two threads at once one comes first.
        let is_first =
            may && self.0.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !is_first {
            TOO_SOON.count();
        }
        is_first
    }
}

/// Has panics noticed, before the hook that is there now hears of them. Once in a line of forks.
pub(super) fn notice_panics() {
    static IS_HOOKED: AtomicBool = AtomicBool::new(false);
    if IS_HOOKED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        panicked(info);
        before(info);
    }));
}

fn panicked(info: &PanicHookInfo<'_>) {
    static APART: Apart = Apart::new();
    let Some(last) = running().filter(|last| last.has(Trigger::Panic)) else { return };
    // What is told of one of our own threads is not the service's end, and that thread may be the one that captures.
    if sys::thread_id().is_some_and(own_thread::is_own) || !APART.may_take() {
        return;
    }
    let source = info.location().map(ToString::to_string).unwrap_or_default();
    let _ = last.keep(Trigger::Panic, source);
}

/// Has exits noticed; false if there is no room for one more handler of such. Once in a line of forks.
pub(super) fn notice_exit() -> bool {
    static IS_HOOKED: AtomicBool = AtomicBool::new(false);
    IS_HOOKED.swap(true, Ordering::Relaxed) || sys::at_exit(exits)
}

extern "C" fn exits() {
    if let Some(last) = running().filter(|last: &&Last| last.has(Trigger::Exit)) {
        let _ = last.keep(Trigger::Exit, "exit".to_owned());
    }
}
