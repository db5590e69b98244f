//! Where tasks are parked: the stacks of a poll, taken wherever a leaf clones the waker.
//!
//! Some polls borrow a waker of another table (`waker.rs`), so every leaf that the task waits at finds that this is
//! not the waker it has and clones it; the stack of that clone, up to the poll itself, is the place of the
//! `.await`. Most of these polls happen anyway, and [`Sampling`](super::sampling::Sampling) chooses them; a few
//! are those that a person asked for (`ask.rs`). The numbers of the stacks stay in the task's record until its
//! next poll, so a capture reads them with the rest.
//! A future inside of a task has its stacks in a record of its own, by a waker of its own (`sub_waker.rs`); what its
//! leaves clone is its task's as well.
//!
//! - A leaf that registers twice in one poll has replaced the older clone: it belongs behind those in between.
//! - Of branches that the poll left behind, some stacks remain. No more are kept than there are wakers, the newest;
//!   the last is where the task waits, the others are registered as well.
//! - A leaf may wake the waker that it replaces, as that of a `want` channel does. That brings one more poll, and
//!   this one is an ordinary one.
//!
//! Nothing here allocates or locks: leaves clone under their own locks.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::await_numbers::{AwaitNumbers, MAX_STACKS, generation};
use super::context;
use super::record::{NO_STACKS, TaskRecord, WOKE_REPLACED};
use super::slab::slab;
use crate::core_layout::Table;
use crate::current::{self, CurrentTask};
use crate::dropped::Dropped;
use crate::fork::Once;
use crate::stack::{self, UnwindCache};

/// What is kept of all polls.
struct Kept {
    numbers: AwaitNumbers,
    unwinds: UnwindCache,
}

static KEPT: Once<Option<Kept>> = Once::new();

static TAKEN: AtomicU64 = AtomicU64::new(0);
static WALKED: AtomicU64 = AtomicU64::new(0);
static DROPPED: Dropped = Dropped::new(
    "await_stacks",
    "a stack of a parked task is not known, as it was beyond eight of a poll, could not be walked or found no room",
);

/// Where it is counted how many stacks were taken, and walked.
pub(crate) const fn counts_tables() -> [Table; 2] {
    [
        Table::at("parked_taken", size_of::<AtomicU64>(), &[], (&raw const TAKEN).cast_mut().cast(), 1),
        Table::at("parked_walked", size_of::<AtomicU64>(), &[], (&raw const WALKED).cast_mut().cast(), 1),
    ]
}

/// How much was done since start.
pub(crate) struct Counts {
    /// Stacks taken.
    pub(crate) taken: u64,
    /// Those of them that were not known again.
    pub(crate) walked: u64,
    /// Stacks beyond eight of a poll, those that could not be walked, and those for which there was no room.
    pub(crate) dropped: u64,
}

/// How much was done since start.
pub(crate) fn counts() -> Counts {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Counts { taken: count(&TAKEN), walked: count(&WALKED), dropped: DROPPED.times() }
}

/// Makes all that taking stacks needs. False if there is no memory for it. Not to be called from a hook.
pub(crate) fn prepare() -> bool {
    stack::prepare();
    let kept = || Some(Kept { numbers: AwaitNumbers::new()?, unwinds: UnwindCache::new()? });
    let kept = KEPT.get_or_init(kept).as_ref();
    kept.inspect(|kept| kept.numbers.tell_cores()).is_some()
}

fn kept() -> Option<&'static Kept> {
    KEPT.get()?.as_ref()
}

/// A poll under way on this thread whose stacks are taken.
struct Taking {
    record: Cell<*const TaskRecord>,
    /// The current task of its own code: itself, or else the one that it is a part of.
    task: Cell<CurrentTask>,
    /// Its wakers are not counted.
    is_sub: Cell<bool>,
    /// Its stack pointer, where the walks end.
    stop: Cell<u64>,
    numbers: [Cell<u32>; MAX_STACKS],
    len: Cell<usize>,
    units: Cell<u32>,
    /// What the record said before.
    stack_before: Cell<u32>,
    self_wakes_before: Cell<u32>,
    /// Wakes by the borrowed waker itself, which would have come without us too.
    lent_wakes: Cell<u32>,
    asked: Cell<bool>,
    /// A stack was taken and is not known.
    lost_one: Cell<bool>,
}

/// Polls inside of each other, on one thread: a task's, of a tracked future in it, of one in that. What is deeper has to do
/// without.
const MAX_NESTED: usize = 4;

/// Those under way on this thread, the innermost last.
struct Nested {
    takings: [Taking; MAX_NESTED],
    len: Cell<usize>,
}

thread_local! {
    static NESTED: Nested =
        const { Nested { takings: [const { Taking::new() }; MAX_NESTED], len: Cell::new(0) } };
}

impl Nested {
    /// One more; none if they are as deep as is told apart.
    fn push(&self) -> Option<&Taking> {
        let taking = self.takings.get(self.len.get())?;
        self.len.set(self.len.get() + 1);
        Some(taking)
    }

    /// The innermost is over.
    fn pop(&self) -> Option<&Taking> {
        let last = self.len.get().checked_sub(1)?;
        self.len.set(last);
        self.takings.get(last)
    }

    /// The poll of this record, if it is under way here and what runs is its own code.
    fn of(&self, record: &TaskRecord) -> Option<&Taking> {
        let takings = self.takings.get(..self.len.get())?;
        let is_of =
            |taking: &&Taking| ptr::eq(taking.record.get(), record) && taking.task.get() == current::get();
        takings.iter().rfind(is_of)
    }
}

impl Taking {
    const fn new() -> Self {
        Taking {
            record: Cell::new(ptr::null()),
            task: Cell::new(CurrentTask::NONE),
            is_sub: Cell::new(false),
            stop: Cell::new(0),
            numbers: [const { Cell::new(0) }; MAX_STACKS],
            len: Cell::new(0),
            units: Cell::new(0),
            stack_before: Cell::new(0),
            self_wakes_before: Cell::new(0),
            lent_wakes: Cell::new(0),
            asked: Cell::new(false),
            lost_one: Cell::new(false),
        }
    }

    /// A stack is the newest now.
    fn add(&self, number: u32) {
        let numbers = &self.numbers[..self.len.get()];
        if let Some(known) = numbers.iter().position(|known| known.get() == number) {
            for pair in known..numbers.len() - 1 {
                numbers[pair].swap(&numbers[pair + 1]);
            }
        } else if let Some(free) = self.numbers.get(numbers.len()) {
            free.set(number);
            self.len.set(numbers.len() + 1);
        } else {
            self.lose_one();
        }
    }

    fn lose_one(&self) {
        self.lost_one.set(true);
        DROPPED.count();
    }

    /// The newest, as many as there are wakers, as one number; all of them if these are not counted.
    fn number(&self, kept: &Kept, wakers: u32) -> u32 {
        let len = self.len.get();
        let most = if self.is_sub.get() { len } else { wakers as usize };
        // A waker that was dropped again leaves no count, and its stack is where the task waits all the same.
        let kept_len = most.max(1).min(len);
        match &self.numbers[len - kept_len..len] {
            [] if self.lost_one.get() => 0,
            [] => NO_STACKS,
            [one] => one.get(),
            several => {
                let list = kept.numbers.of_list(several.iter().map(Cell::get));
                list.unwrap_or(several[several.len() - 1].get())
            }
        }
    }
}

/// What is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    /// A task, in a poll that happens anyway.
    Task,
    /// A task, as a person asked for it.
    Asked,
    /// A future inside of a task.
    Sub,
}

/// A poll of what is in `record` begins, whose frame on the stack begins at `sp`, and its stacks are to be taken.
/// False if they cannot be.
#[cold]
pub(super) fn begin(record: &'static TaskRecord, sp: u64, polled: Polled) -> bool {
    let may_be_taken = match polled {
        Polled::Task => record.stack() != WOKE_REPLACED && record.state().is_traceable_by_polls(),
        Polled::Asked | Polled::Sub => true,
    };
    NESTED.with(|nested| {
        if !may_be_taken || kept().is_none() {
            return false;
        }
        let Some(taking) = nested.push() else { return false };
        taking.record.set(record);
        taking.task.set(current::get());
        taking.is_sub.set(polled == Polled::Sub);
        taking.stop.set(sp);
        taking.len.set(0);
        taking.units.set(0);
        taking.stack_before.set(record.stack());
        taking.self_wakes_before.set(record.self_wakes());
        taking.lent_wakes.set(0);
        taking.asked.set(polled == Polled::Asked);
        taking.lost_one.set(false);
        true
    })
}

/// The poll that began last ended: its stacks go into the record. True if it waits elsewhere than before.
#[cold]
pub(super) fn end(record: &'static TaskRecord) -> bool {
    NESTED.with(|nested| {
        let Some(taking) = nested.pop() else { return false };
        if !taking.asked.get() {
            context::pay_for_stacks(taking.units.get().max(1));
        }
        let self_wakes = record.self_wakes().wrapping_sub(taking.self_wakes_before.get());
        if self_wakes != taking.lent_wakes.get() {
            record.set_stack(WOKE_REPLACED);
            return false;
        }
        let stack = kept().map_or(0, |kept| taking.number(kept, record.state().wakers()));
        record.set_stack(stack);
        let is_known = |number: u32| number > 0 && number <= NO_STACKS;
        let before = taking.stack_before.get();
        // Numbers of two generations differ for one place as well.
        is_known(before) && is_known(stack) && before != stack && is_comparable(before, stack)
    })
}

/// Whether these two are the same only if they stand for the same.
fn is_comparable(before: u32, now: u32) -> bool {
    [before, now].contains(&NO_STACKS) || generation(before) == generation(now)
}

/// Takes the stack of a leaf that clones the waker, if that is on the thread and in the poll that it
/// was given to.
#[cold]
#[inline(never)]
pub(super) fn take_stack(record: &'static TaskRecord) {
    // Of this function and of no closure in it: the next frame is that of our own `clone`.
    let here = stack::registers();
    NESTED.with(|nested| {
        let (Some(kept), Some(taking)) = (kept(), nested.of(record)) else { return };
        let walked = Cell::new(0);
        let number = |frames: &[u64]| {
            walked.set(1 + frames.len() as u32 / 3);
            // The innermost frame is that of our own `clone`, which the table of the waker names.
            kept.numbers.word_of_stack(&frames[1.min(frames.len())..]).unwrap_or(0)
        };
        let again = |word| kept.numbers.is_current(word);
        // Two places of one depth differ in nothing that is known before the walk, but often in their tasks.
        let salt = record.current().site().map_or(0, |site| site.0);
        let number = kept.unwinds.number_up_to(taking.stop.get(), salt, here, number, again);
        taking.units.set(taking.units.get() + 1 + walked.get());
        TAKEN.fetch_add(1, Ordering::Relaxed);
        if walked.get() > 0 {
            WALKED.fetch_add(1, Ordering::Relaxed);
        }
        match number {
            Some(number @ 1..) => taking.add(number as u32),
            _ => taking.lose_one(),
        }
    });
}

/// The waker that a poll borrowed is used to wake the task.
#[cold]
pub(super) fn woke_by_borrowed(record: &TaskRecord) {
    NESTED.with(|nested| {
        if let Some(taking) = nested.of(record) {
            taking.lent_wakes.set(taking.lent_wakes.get() + 1);
        }
    });
}

/// The stacks behind a number from a record, return addresses, innermost first; the last stack is where the task
/// waits, and those before it are what the same poll registered with as well.
pub(crate) fn stacks_of(number: u32) -> Vec<Vec<u64>> {
    let mut stacks = Vec::new();
    if let Some(kept) = kept() {
        kept.numbers.read(number, &mut |stack| stacks.push(stack.to_vec()));
    }
    stacks
}

/// Has stacks at which no task is parked give their places away, if there was no room. For one thread, which asks now and
/// then.
pub(crate) fn make_room() {
    if let (Some(kept), Some(slab)) = (kept(), slab()) {
        kept.numbers.make_room(slab.records());
        kept.numbers.tell_cores();
    }
}
