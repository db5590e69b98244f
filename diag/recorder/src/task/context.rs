//! What a thread keeps for the recorder: free records, ids, its shard of the totals, its dice.
//!
//! A plain thread-local without a destructor, so the hot path pays no liveness check; a second one
//! with a destructor, registered once a thread, hands everything back when the thread ends.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::end;
use super::record::TaskRecord;
use super::sampling::{self, Extra, Sampling};
use super::slab::{Slab, slab};
use super::totals::{Shard, add};
use crate::core_layout::CORE_LAYOUT;
use crate::dropped::Dropped;
use crate::{clock, runtime, sys};

/// Ids a thread takes at once, so that spawning threads do not share a counter's line.
const ID_BLOCK: u64 = 256;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static UNRECORDED: Dropped =
    Dropped::new("tasks_unrecorded", "a task ran without a record, as there was no memory for one");

struct Context {
    shard: Cell<Option<&'static Shard>>,
    chunk: Cell<usize>,
    free: Cell<u64>,
    next_id: Cell<u64>,
    last_id: Cell<u64>,
    sampling: Sampling,
    thread: Cell<u32>,
    in_place_ns: Cell<u64>,
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            shard: Cell::new(None),
            chunk: Cell::new(usize::MAX),
            free: Cell::new(0),
            next_id: Cell::new(1),
            last_id: Cell::new(0),
            sampling: Sampling::new(),
            thread: Cell::new(0),
            in_place_ns: Cell::new(0),
        }
    };
    static LEAVE: Leave = const { Leave };
}

/// Hands back what the thread holds. A thread that spawns or ends tasks in still later destructors
/// takes a new shard and chunk, which then stay its own: some kilobytes for such a thread.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        CONTEXT.with(|context| {
            if let Some(shard) = context.shard.take() {
                shard.release();
            }
            if let (free @ 1.., Some(slab)) = (context.free.take(), slab()) {
                slab.give(context.chunk.replace(usize::MAX), free);
            }
        });
    }
}

/// The calling thread's shard of the totals.
#[inline]
pub(crate) fn shard() -> Option<&'static Shard> {
    CONTEXT.with(|context| context.shard.get().or_else(|| first_use(context)))
}

#[cold]
fn first_use(context: &Context) -> Option<&'static Shard> {
    let shard = Shard::acquire()?;
    context.shard.set(Some(shard));
    // Threads differ by their shard's address.
    context.sampling.seed((std::ptr::from_ref(shard) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    // Fails only while the thread is being torn down; see `Leave`.
    let _ = LEAVE.try_with(|_| ());
    clock::learn_ticks();
    runtime::notice_first();
    Some(shard)
}

/// A free record for a new task, and the task's id; `None` (and counted) if there is no room.
#[inline]
pub(crate) fn take_record() -> Option<(&'static TaskRecord, u64)> {
    let Some(slab) = slab() else { return not_recorded() };
    CONTEXT.with(|context| context.take_record(slab))
}

/// An id that no other task of this process has or had.
#[inline]
pub(crate) fn take_id() -> u64 {
    CONTEXT.with(Context::take_id)
}

/// Counts a task that runs without a record.
#[cold]
pub(crate) fn not_recorded<T>() -> Option<T> {
    UNRECORDED.count();
    None
}

/// Clears a record that is the caller's to free and gives it back, on whichever thread.
///
/// Not inlined into the crates of users, where each access to what the thread keeps would be a call.
#[inline(never)]
pub(crate) fn free_record(record: &'static TaskRecord) {
    let Some(slab) = slab() else { return };
    if record.has_unobserved_panic() {
        end::count_unobserved_panic(record.current());
    }
    record.clear();
    let (chunk, bit) = slab.place(record);
    CONTEXT.with(|context| {
        if context.chunk.get() == chunk {
            context.free.set(context.free.get() | 1 << bit);
        } else {
            slab.give(chunk, 1 << bit);
        }
    });
}

/// The first id that this process gave; those below are its parent's.
static FIRST_ID: AtomicU64 = AtomicU64::new(0);

static FORKED_NS: AtomicU64 = AtomicU64::new(0);

/// The coarse clock when this process was forked; 0 for one that was not.
pub(crate) fn forked_ns() -> u64 {
    FORKED_NS.load(Ordering::Relaxed)
}

/// True for the id of a task that was spawned in this process, and not in its parent before it was forked.
pub(crate) fn is_own(id: u64) -> bool {
    id >= FIRST_ID.load(Ordering::Relaxed)
}

/// In a child: its only thread has another number than it had in the parent, gives ids that nobody has, and
/// meets its runtime anew. Allocates nothing.
pub(crate) fn in_child() {
    FORKED_NS.store(clock::coarse_ns(), Ordering::Relaxed);
    FIRST_ID.store(NEXT_ID.load(Ordering::Relaxed), Ordering::Relaxed);
    CORE_LAYOUT.facts.first_id.set(FIRST_ID.load(Ordering::Relaxed));
    CORE_LAYOUT.facts.forked_ns.set(forked_ns());
    CONTEXT.with(|context| {
        context.thread.set(0);
        context.next_id.set(1);
        context.last_id.set(0);
        if let Some(shard) = context.shard.take() {
            shard.release();
        }
    });
}

/// The kernel's number of the calling thread.
#[inline]
pub(crate) fn thread() -> u32 {
    CONTEXT.with(|context| match context.thread.get() {
        0 => context.learn_thread(),
        known => known,
    })
}

/// The poll under way spent this long in `block_in_place`.
pub(super) fn add_in_place_ns(ns: u64) {
    CONTEXT.with(|context| context.in_place_ns.set(context.in_place_ns.get() + ns));
}

/// How long the poll that ends now spent in `block_in_place`.
pub(super) fn take_in_place_ns() -> u64 {
    CONTEXT.with(|context| context.in_place_ns.take())
}

/// True if the poll that begins now may do more than to count, and [`extra_of_poll`] says what.
#[inline(always)]
pub(super) fn is_poll_due() -> bool {
    CONTEXT.with(|context| context.sampling.is_due())
}

/// What a poll that is due does besides counting.
pub(super) fn extra_of_poll(now_ns: u64) -> Extra {
    CONTEXT.with(|context| context.next_extra(now_ns))
}

/// True if a first poll or one after a long rest may have stacks taken.
pub(super) fn has_units_left(now_ns: u64) -> bool {
    CONTEXT.with(|context| context.sampling.has_units_left(now_ns))
}

/// The stacks of a poll cost so many units.
pub(super) fn pay_for_stacks(units: u32) {
    CONTEXT.with(|context| context.sampling.pay(units));
}

impl Context {
    #[inline]
    fn take_record(&self, slab: &'static Slab) -> Option<(&'static TaskRecord, u64)> {
        if self.free.get() == 0 && !self.take_chunk(slab) {
            return not_recorded();
        }
        let free = self.free.get();
        self.free.set(free & (free - 1));
        Some((slab.record(self.chunk.get(), free.trailing_zeros() as usize), self.take_id()))
    }

    /// False if there is none.
    #[cold]
    #[inline(never)]
    fn take_chunk(&self, slab: &Slab) -> bool {
        let Some((chunk, free)) = slab.take_chunk() else { return false };
        self.chunk.set(chunk);
        self.free.set(free);
        true
    }

    #[cold]
    #[inline(never)]
    fn learn_thread(&self) -> u32 {
        let thread = sys::thread_id().unwrap_or(u32::MAX);
        self.thread.set(thread);
        thread
    }

    fn next_extra(&self, now_ns: u64) -> Extra {
        let (timed, stacks) = self.sampling.next(now_ns);
        if let Some(shard) = self.shard.get().filter(|_| timed) {
            add(&shard.polls, sampling::timing_one_in().into());
        }
        sampling::extra(timed, stacks)
    }

    #[inline]
    fn take_id(&self) -> u64 {
        if self.next_id.get() > self.last_id.get() {
            let first = NEXT_ID.fetch_add(ID_BLOCK, Ordering::Relaxed);
            self.next_id.set(first);
            self.last_id.set(first + ID_BLOCK - 1);
        }
        self.next_id.replace(self.next_id.get() + 1)
    }
}
