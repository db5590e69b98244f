//! Which labels are in force on this thread: those of the poll under way or of the span entered last, which a spawn inside of it
//! takes.
//!
//! Polls may lie in each other, as of a `LocalSet` in a task, so an entry says of which current task it is: labels of a
//! poll outside are not those of a task that is polled inside. Plain words without a destructor, as in `current`.
//!
//! Polls and scopes leave in the reverse order. Spans need not, and one that is entered across an `.await` is left in another
//! poll or on another thread: so its entry owns its labels, is left by its name, and goes at the latest with the poll that it
//! was made in.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;

use super::Labels;
use crate::current::{self, CurrentTask};
use crate::dropped::Dropped;
use crate::task::record::TaskRecord;

/// Polls, scopes and spans with labels that may lie in each other.
const DEEP: usize = 16;

static TOO_DEEP: Dropped = Dropped::new(
    "labels_not_inherited",
    "a task has not inherited its labels, as more than 16 polls and spans with labels lay in each other",
);

#[derive(Clone, Copy)]
struct Entry {
    labels: *mut (),
    task: CurrentTask,
    of: Of,
}

/// What an entry is of.
#[derive(Clone, Copy)]
enum Of {
    /// A poll of the task or future in this record, or its end, for which there is none. The labels are kept by it.
    Poll(Option<&'static TaskRecord>),
    /// A scope, which keeps the labels.
    Scope,
    /// A span of this number. The labels are the entry's.
    Span(u64),
}

impl Entry {
    const NONE: Entry = Entry { labels: ptr::null_mut(), task: CurrentTask::NONE, of: Of::Scope };

    fn is_span(&self) -> bool {
        matches!(self.of, Of::Span(_))
    }

    fn labels(&self) -> Option<ManuallyDrop<Labels>> {
        // SAFETY: whoever entered it keeps it until it leaves, and is not dropped here.
        unsafe { Labels::from_raw(self.labels) }.map(ManuallyDrop::new)
    }

    /// Drops the labels of a span.
    fn drop_labels(self) {
        if self.is_span() {
            // SAFETY: of `into_raw` by `enter_span`, and the entry is gone.
            drop(unsafe { Labels::from_raw(self.labels) });
        }
    }
}

struct InForce {
    /// Those that lie in each other, more than there are entries for included.
    depth: Cell<usize>,
    entries: [Cell<Entry>; DEEP],
}

thread_local! {
    static IN_FORCE: InForce = const {
        InForce { depth: Cell::new(0), entries: [const { Cell::new(Entry::NONE) }; DEEP] }
    };
}

/// What a task that is spawned now inherits.
#[inline]
pub(in crate::task) fn inherited() -> Option<Labels> {
    IN_FORCE.with(|in_force| if in_force.depth.get() == 0 { None } else { in_force.inherited() })
}

/// From now on, until the same thread calls [`leave`], what is spawned while `task` is the current one inherits these. They
/// are kept by the caller as long. Spans that are entered meanwhile label the task in `record`.
pub(in crate::task) fn enter_poll(
    labels: Option<&Labels>,
    task: CurrentTask,
    record: Option<&'static TaskRecord>,
) {
    let labels = labels.map_or(ptr::null_mut(), Labels::as_raw);
    IN_FORCE.with(|in_force| in_force.enter(Entry { labels, task, of: Of::Poll(record) }));
}

/// The span that `outer` has entered last on this thread, if nothing has put other labels in force since.
pub(in crate::task) fn span_of(outer: CurrentTask) -> Option<(Labels, u64)> {
    let last = IN_FORCE.with(|in_force| in_force.kept().next_back()).filter(|entry| entry.task == outer)?;
    let Of::Span(span) = last.of else { return None };
    Some((Labels::clone(&*last.labels()?), span))
}

/// The latest [`enter_poll`] is over, and with it the spans that were entered since.
pub(in crate::task) fn leave() {
    IN_FORCE.with(InForce::leave);
}

/// From now on, until it is [left](leave_span), what is spawned while the current task is the current one inherits the labels of
/// the span over those that were in force; the task whose poll this is has them too.
pub(in crate::task) fn enter_span(labels: &Labels, span: u64) {
    IN_FORCE.with(|in_force| {
        let entry = Entry { labels: labels.clone().into_raw(), task: current::get(), of: Of::Span(span) };
        in_force.enter_span(entry);
        in_force.label_task(labels);
    });
}

/// The span of this number has other labels now, also where it is entered on this thread.
pub(in crate::task) fn renew_span(labels: &Labels, span: u64) {
    IN_FORCE.with(|in_force| {
        let Some(place) = in_force.place_of(span) else { return };
        let before = in_force.entries[place].get();
        in_force.entries[place].set(Entry { labels: labels.clone().into_raw(), ..before });
        before.drop_labels();
        in_force.label_task(labels);
    });
}

/// The span that this thread entered last by this number is left. It may have been left with a poll, or entered elsewhere.
pub(in crate::task) fn leave_span(span: u64) {
    IN_FORCE.with(|in_force| {
        if let Some(place) = in_force.place_of(span) {
            in_force.remove(place);
        }
    });
}

impl InForce {
    /// The entries that there was room for, the innermost last.
    fn kept(&self) -> impl DoubleEndedIterator<Item = Entry> + ExactSizeIterator {
        self.entries[..self.depth.get().min(DEEP)].iter().map(Cell::get)
    }

    fn enter(&self, entry: Entry) {
        let depth = self.depth.replace(self.depth.get() + 1);
        if let Some(place) = self.entries.get(depth) {
            place.set(entry);
        }
    }

    /// Where there is no room, the outermost span makes some: one that was never left, maybe.
    fn enter_span(&self, entry: Entry) {
        if self.depth.get() >= DEEP {
            TOO_DEEP.count();
            let outermost = self.kept().position(|entry| entry.is_span());
            let Some(place) = outermost.filter(|_| self.depth.get() == DEEP) else {
                return entry.drop_labels();
            };
            self.remove(place);
        }
        self.enter(entry);
    }

    /// The entry that the current task made last for the span of this number.
    fn place_of(&self, span: u64) -> Option<usize> {
        let task = current::get();
        let is_it = |entry: Entry| matches!(entry.of, Of::Span(of) if of == span);
        self.kept().rposition(|entry| entry.task == task && is_it(entry))
    }

    fn leave(&self) {
        let mut left = false;
        while !left && self.depth.get() > 0 {
            let depth = self.depth.get() - 1;
            self.depth.set(depth);
            let entry = self.entries.get(depth).map_or(Entry::NONE, Cell::get);
            entry.drop_labels();
            left = !entry.is_span();
        }
    }

    fn remove(&self, place: usize) {
        let removed = self.entries[place].get();
        let depth = self.depth.get().min(DEEP);
        for inner in place + 1..depth {
            self.entries[inner - 1].set(self.entries[inner].get());
        }
        self.depth.set(self.depth.get() - 1);
        removed.drop_labels();
    }

    #[cold]
    fn inherited(&self) -> Option<Labels> {
        if self.depth.get() > DEEP {
            TOO_DEEP.count();
            return None;
        }
        let mut inner = self.of_task();
        let first = inner.next()?;
        let labels = first.labels();
        if !first.is_span() {
            return labels.as_ref().and_then(|labels| labels.of_children());
        }
        let rest = inner.find(|entry| !entry.is_span()).and_then(|entry| entry.labels());
        let rest = rest.as_ref().and_then(|rest| rest.of_children());
        labels.map(|labels| labels.over(rest))
    }

    /// Labels the task whose poll is under way.
    fn label_task(&self, labels: &Labels) {
        if let Some(record) = self.record() {
            record.label_by_span(labels);
        }
    }

    /// The record of the poll under way, if spans are to label its task.
    fn record(&self) -> Option<&'static TaskRecord> {
        let mut polls = self
            .of_task()
            .filter_map(|entry| if let Of::Poll(record) = entry.of { Some(record) } else { None });
        polls.next().flatten()
    }

    /// The entries of the current task, the innermost first.
    fn of_task(&self) -> impl Iterator<Item = Entry> {
        let task = current::get();
        self.kept().rev().take_while(move |entry| entry.task == task)
    }
}

/// Labels in force as long as this lives. It is not sent to another thread.
pub(in crate::task) struct Entered {
    left_here: std::marker::PhantomData<*const ()>,
}

impl Entered {
    /// Puts labels in force for the current task. They are kept by the caller as long as the result lives.
    pub(in crate::task) fn now(labels: &Labels) -> Self {
        let entry = Entry { labels: labels.as_raw(), task: current::get(), of: Of::Scope };
        IN_FORCE.with(|in_force| in_force.enter(entry));
        Entered { left_here: std::marker::PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        leave();
    }
}
