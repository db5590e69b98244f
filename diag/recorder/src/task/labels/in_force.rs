//! Which labels are in force on this thread: those of the poll under way, which a spawn inside of it takes.
//!
//! Polls may lie in each other, as of a `LocalSet` in a task, so an entry says of which current task it is: labels of a
//! poll outside are not those of a task that is polled inside. Plain words without a destructor, as in `current`.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;

use super::Labels;
use crate::current::{self, CurrentTask};
use crate::dropped::Dropped;

/// Polls with labels that may lie in each other.
const DEEP: usize = 16;

static TOO_DEEP: Dropped = Dropped::new(
    "labels_not_inherited",
    "a task has not inherited its labels, as more than 16 polls of labelled tasks lay in each other",
);

struct InForce {
    polls: Cell<usize>,
    entries: [Cell<(*mut (), CurrentTask)>; DEEP],
}

thread_local! {
    static IN_FORCE: InForce = const {
        InForce {
            polls: Cell::new(0),
            entries: [const { Cell::new((ptr::null_mut(), CurrentTask::NONE)) }; DEEP],
        }
    };
}

/// What a task that is spawned now inherits.
#[inline]
pub(in crate::task) fn inherited() -> Option<Labels> {
    IN_FORCE.with(|in_force| if in_force.polls.get() == 0 { None } else { in_force.inherited() })
}

/// From now on, until the same thread calls [`leave`], what is spawned while `task` is the current one inherits these. They
/// are kept by the caller as long.
pub(in crate::task) fn enter(labels: &Labels, task: CurrentTask) {
    IN_FORCE.with(|in_force| {
        let polls = in_force.polls.replace(in_force.polls.get() + 1);
        if let Some(entry) = in_force.entries.get(polls) {
            entry.set((labels.as_raw(), task));
        }
    });
}

/// The latest [`enter`] is over.
pub(in crate::task) fn leave() {
    IN_FORCE.with(|in_force| in_force.polls.set(in_force.polls.get().saturating_sub(1)));
}

impl InForce {
    #[cold]
    fn inherited(&self) -> Option<Labels> {
        let Some(entry) = self.entries.get(self.polls.get() - 1) else {
            TOO_DEEP.count();
            return None;
        };
        let (labels, task) = entry.get();
        if task != current::get() {
            return None;
        }
        // SAFETY: whoever entered it keeps it until it leaves, and is not dropped here.
        let labels = ManuallyDrop::new(unsafe { Labels::from_raw(labels) });
        labels.as_ref().and_then(Labels::of_children)
    }
}

/// Labels in force as long as this lives. It is not sent to another thread.
pub(in crate::task) struct Entered {
    left_here: std::marker::PhantomData<*const ()>,
}

impl Entered {
    /// Puts labels in force for the current task. They are kept by the caller as long as the result lives.
    pub(in crate::task) fn now(labels: &Labels) -> Self {
        enter(labels, current::get());
        Entered { left_here: std::marker::PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        leave();
    }
}
