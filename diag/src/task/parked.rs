//! Where tasks are parked: polls on demand that take a stack wherever a leaf clones the waker.
//!
//! A capture asks the runtime to poll a task, with a waker that no leaf has seen (`waker.rs`). Every leaf
//! that the task waits at then clones it, and the stack of that clone, up to the poll itself, is the
//! place of the `.await`. Between captures this costs nothing.
//!
//! | record's state | who may touch it |
//! |---|---|
//! | free | whoever exchanges it for *writing* |
//! | writing | that thread, until it stores *ready* (Release) |
//! | ready | the capture, until it stores *free* |
//!
//! A poll that comes too late for its capture fills its record all the same; the next capture finds
//! that it did not ask for that task and frees the record.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::pinned::Pinned;
use super::slot::Slot;
use super::waker;
use crate::current::{self, CurrentTask};
use crate::fork::Once;
use crate::memory::{self, Zeroed};
use crate::stack;

/// Stacks of one task at the most: a join of a thousand leaves clones a thousand wakers in one poll.
const STACKS_PER_TASK: u32 = 8;
/// Frames of a stack at the most, from the leaf outwards.
const FRAMES: usize = 62;
/// Stacks that wait to be collected at the most.
const RECORDS: usize = 2_048;
/// Tasks that are asked for a poll at once: about so much work for a worker as a millisecond holds.
const AT_ONCE: usize = 256;
/// How long a poll may let a capture wait: a worker that is busy for longer is looked at otherwise.
const PATIENCE: Duration = Duration::from_millis(20);

const FREE: u32 = 0;
const WRITING: u32 = 1;
const READY: u32 = 2;

/// One stack on its way from the task's thread to the capture.
#[repr(C)]
struct Record {
    state: AtomicU32,
    depth: AtomicU32,
    task: AtomicU64,
    frames: [AtomicU64; FRAMES],
}

// SAFETY: atomics at zero; a record of zeros is free.
unsafe impl Zeroed for Record {}

/// Mapped by the first capture that asks.
static SINK: Once<Option<&'static [Record]>> = Once::new();
/// Where the next search for a free record begins.
static NEXT: AtomicU32 = AtomicU32::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The stack pointer of the traced poll under way on this thread, 0 without one.
    static STOP: Cell<u64> = const { Cell::new(0) };
    /// Stacks that it may still take.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

/// A poll that a capture asked for. Its own function on the stack, where the walks end.
#[inline(never)]
pub(super) fn poll<F: Future>(slot: &'static Slot, future: Pin<&mut F>) -> Poll<F::Output> {
    let _poll = TracedPoll::start(stack::registers().sp);
    future.poll(&mut Context::from_waker(&waker::lend(slot, true)))
}

/// Puts the thread's state back, on unwinding too.
struct TracedPoll {
    stop: u64,
    left: u32,
}

impl TracedPoll {
    fn start(sp: u64) -> Self {
        TracedPoll { stop: STOP.replace(sp), left: LEFT.replace(STACKS_PER_TASK) }
    }
}

impl Drop for TracedPoll {
    fn drop(&mut self) {
        STOP.set(self.stop);
        LEFT.set(self.left);
    }
}

/// Takes the stack of a leaf that clones the waker, if that is on the thread and in the poll that it
/// was lent to.
#[cold]
#[inline(never)]
pub(super) fn record(slot: &'static Slot) {
    let (stop, task) = (STOP.get(), slot.current());
    if stop == 0 || current::get() != task {
        return;
    }
    let Some(left) = LEFT.get().checked_sub(1) else {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    LEFT.set(left);
    let Some(record) = claim() else {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let mut frames = [0; FRAMES];
    let depth = stack::capture_until(stack::registers(), &mut frames, stop);
    // The innermost frame is that of our own `clone`, which the table of the waker names.
    let leaf = &frames[1.min(depth)..depth];
    for (cell, frame) in record.frames.iter().zip(leaf) {
        cell.store(*frame, Ordering::Relaxed);
    }
    record.task.store(task.word(), Ordering::Relaxed);
    record.depth.store(leaf.len() as u32, Ordering::Relaxed);
    record.state.store(READY, Ordering::Release);
}

/// A free record, which is the caller's from now on.
fn claim() -> Option<&'static Record> {
    const TRIES: u32 = 8;
    let records = SINK.get().copied().flatten()?;
    (0..TRIES).find_map(|_| {
        let record = &records[NEXT.fetch_add(1, Ordering::Relaxed) as usize % RECORDS];
        let claimed = record.state.compare_exchange(FREE, WRITING, Ordering::Acquire, Ordering::Relaxed);
        claimed.is_ok().then_some(record)
    })
}

/// Where one task is parked: one stack a leaf, return addresses, innermost first.
pub(crate) struct Parked {
    pub(crate) task: CurrentTask,
    pub(crate) frames: Vec<u64>,
}

/// What came of asking.
#[derive(Default)]
pub(crate) struct Traced {
    pub(crate) stacks: Vec<Parked>,
    pub(crate) asked: u64,
    /// Polls that ended in time.
    pub(crate) answered: u64,
    /// Stacks beyond eight of a task, or for which there was no room.
    pub(crate) dropped: u64,
    pub(crate) spent: Duration,
}

impl Traced {
    /// Adds what came of asking others, or the same again; a task's stacks are kept once.
    pub(crate) fn add(&mut self, other: Traced) {
        let known = |task| self.stacks.iter().any(|parked: &Parked| parked.task == task);
        let new: Vec<Parked> = other.stacks.into_iter().filter(|parked| !known(parked.task)).collect();
        self.stacks.extend(new);
        self.asked += other.asked;
        self.answered += other.answered;
        self.dropped += other.dropped;
        self.spent += other.spent;
    }
}

/// Asks each of these tasks for a poll and collects where they are parked. Waits for the answers; not to
/// be called on a thread that polls tasks.
pub(crate) fn trace(tasks: &[(&'static Slot, CurrentTask)]) -> Traced {
    let (started, dropped) = (Instant::now(), DROPPED.load(Ordering::Relaxed));
    let mut traced = Traced::default();
    if tasks.is_empty() {
        return traced;
    }
    stack::prepare();
    let Some(records) = *SINK.get_or_init(|| memory::zeroed(RECORDS)) else { return traced };
    for tasks in tasks.chunks(AT_ONCE) {
        let pinned: Vec<Pinned> = tasks.iter().filter_map(|(slot, task)| Pinned::new(slot, *task)).collect();
        let asked: Vec<&Pinned> = pinned.iter().filter(|pinned| pinned.slot().trace()).collect();
        let late = wait(&asked);
        traced.asked += asked.len() as u64;
        traced.answered += (asked.len() - late) as u64;
        collect(records, &asked, &mut traced.stacks);
        if late == asked.len() && late > 0 {
            // Nobody polls at all: the runtime hangs, or it is the one that we are called on.
            break;
        }
    }
    traced.dropped = DROPPED.load(Ordering::Relaxed) - dropped;
    traced.spent = started.elapsed();
    traced
}

/// Waits until all polls have ended, but not for ever. How many have not.
fn wait(asked: &[&Pinned]) -> usize {
    // An idle worker answers at once, so that sleeping would be the longest part.
    const EAGER: Duration = Duration::from_micros(300);
    let started = Instant::now();
    let mut done = 0;
    loop {
        done += asked[done..].iter().take_while(|pinned| !pinned.slot().is_traced()).count();
        let waited = started.elapsed();
        if done == asked.len() {
            return 0;
        }
        if waited > PATIENCE {
            return asked[done..].iter().filter(|pinned| pinned.slot().is_traced()).count();
        }
        if waited < EAGER {
            std::thread::yield_now();
        } else {
            std::thread::sleep(EAGER / 6);
        }
    }
}

/// Takes what the polls have left, and frees what was too late for an earlier capture.
fn collect(records: &[Record], asked: &[&Pinned], stacks: &mut Vec<Parked>) {
    let mut asked: Vec<CurrentTask> = asked.iter().map(|pinned| pinned.task()).collect();
    asked.sort_unstable_by_key(|task| task.word());
    for record in records {
        if record.state.load(Ordering::Acquire) != READY {
            continue;
        }
        let task = CurrentTask::from_word(record.task.load(Ordering::Relaxed));
        if asked.binary_search_by_key(&task.word(), |task| task.word()).is_ok() {
            let depth = record.depth.load(Ordering::Relaxed) as usize;
            let frames = record.frames[..depth].iter().map(|frame| frame.load(Ordering::Relaxed)).collect();
            stacks.push(Parked { task, frames });
        }
        record.state.store(FREE, Ordering::Release);
    }
}
