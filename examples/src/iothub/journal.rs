//! The last frames of a device, as a task-local of its task: what is looked at when it did something odd.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;

use super::fault::{Fault, Faults};
use super::truth::Place;

/// Of each frame so many bytes are noted.
const ENTRY: usize = 512;
/// So many frames are remembered.
const REMEMBERED: usize = 8;

static ENTRY_PLACE: Place = Place::new();

tokio::task_local! {
    static JOURNAL: RefCell<Journal>;
}

struct Journal {
    remembered: usize,
    entries: VecDeque<Box<[u8]>>,
}

/// Runs a device's task with a journal.
pub(super) async fn with_journal<F: Future>(faults: Faults, task: F) -> F::Output {
    // Fault `big-task-local`: it was made larger to find one bug, and had no other end than its task's.
    let remembered = if faults.has(Fault::BigTaskLocal) { usize::MAX } else { REMEMBERED };
    JOURNAL.scope(RefCell::new(Journal { remembered, entries: VecDeque::new() }), task).await
}

/// Notes a frame of the device whose task this is, if it has a journal.
pub(super) fn note(kind: u8) {
    // Who has no journal notes nothing.
    let _ = JOURNAL.try_with(|journal| journal.borrow_mut().note(kind));
}

impl Journal {
    fn note(&mut self, kind: u8) {
        if self.entries.len() >= self.remembered {
            self.entries.pop_front();
        }
        self.entries.push_back(ENTRY_PLACE.note(vec![kind; ENTRY].into_boxed_slice()));
    }
}

pub(super) fn place() -> Option<String> {
    ENTRY_PLACE.line()
}
