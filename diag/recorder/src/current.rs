//! The current task: the thread-local words in which the task recorder and the heap sampler meet.
//!
//! The recorder sets one around every poll and every drop of a task's future, and another while it hands a
//! new task to the runtime; the allocator hook reads them. They are plain words without a destructor, so they
//! can be read at any time in a thread's life, also inside the allocator.

use std::cell::Cell;

use crate::task::SiteId;

/// Bits of the word that hold the site; the rest is the task's id.
const SITE_BITS: u32 = 20;

/// A task's never-reused id (44 bits) and its site (20 bits) in one word; 0 is "no task".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct CurrentTask(u64);

impl CurrentTask {
    /// No task.
    pub(crate) const NONE: CurrentTask = CurrentTask(0);

    /// Packs an id and a site. Ids start at 1.
    #[inline]
    pub(crate) fn new(id: u64, site: SiteId) -> Self {
        CurrentTask(id << SITE_BITS | u64::from(site.0))
    }

    /// The word as it is stored; 0 is "no task".
    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// The reverse of [`word`](CurrentTask::word).
    pub(crate) fn from_word(word: u64) -> Self {
        CurrentTask(word)
    }

    /// All tasks of its site as one; "no task" stays what it is.
    #[cfg(profiles_cpu)]
    pub(crate) fn site_only(self) -> Self {
        self.site().map_or(self, |site| CurrentTask::new(1, site))
    }

    /// This, or else that.
    #[inline]
    pub(crate) fn or(self, other: CurrentTask) -> Self {
        if self == CurrentTask::NONE { other } else { self }
    }

    /// The task's id; `None` outside of a tracked task.
    pub(crate) fn id(self) -> Option<u64> {
        (self.0 != 0).then_some(self.0 >> SITE_BITS)
    }

    /// The task's spawn site; `None` outside of a tracked task.
    pub(crate) fn site(self) -> Option<SiteId> {
        (self.0 != 0).then_some(SiteId((self.0 & ((1 << SITE_BITS) - 1)) as u32))
    }
}

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
    #[cfg(feature = "heap")]
    static SPAWNING: Cell<u64> = const { Cell::new(0) };
}

/// The task that this thread is polling or dropping.
#[inline]
pub(crate) fn get() -> CurrentTask {
    CurrentTask(CURRENT.get())
}

/// Makes `task` current and returns the one before, which the caller puts back from a guard.
#[inline]
pub(crate) fn replace(task: CurrentTask) -> CurrentTask {
    CurrentTask(CURRENT.replace(task.0))
}

/// True while this thread hands a recorded task to the runtime.
#[cfg(samples_heap)]
pub(crate) fn is_spawning() -> bool {
    SPAWNING.get() != 0
}

/// The bits of tokio's id of the task that this thread is polling, recorded or not; 0 outside of tasks. For hooks.
#[cfg(samples_heap)]
pub(crate) fn tokio_id_bits() -> u64 {
    crate::task::tokio_id::current_bits()
}

/// The task that a new block is charged to: the one that this thread is spawning, whose cell it is, or else the
/// current one.
#[cfg(samples_heap)]
pub(crate) fn allocating() -> CurrentTask {
    match SPAWNING.get() {
        0 => get(),
        word => CurrentTask(word),
    }
}

/// Charges `task` with the new blocks of this thread until dropped. It is not the current task: whom the spawn
/// wakes was woken by who spawned.
#[inline]
pub(crate) fn charge(task: CurrentTask) -> Charged {
    #[cfg(feature = "heap")]
    return Charged { before: SPAWNING.replace(task.0) };
    #[cfg(not(feature = "heap"))]
    {
        let _ = task;
        Charged {}
    }
}

/// See [`charge`].
#[must_use]
pub(crate) struct Charged {
    #[cfg(feature = "heap")]
    before: u64,
}

#[cfg(feature = "heap")]
impl Drop for Charged {
    #[inline]
    fn drop(&mut self) {
        SPAWNING.set(self.before);
    }
}
