//! The waker that a recorded task sees: it counts its clones and wakes, and forwards to the runtime's.
//!
//! Nothing here allocates, locks or logs: leaves clone and wake under their own locks.
//!
//! There are two tables. The second is borrowed by a poll whose stacks are taken (`await_point.rs`): every leaf finds
//! that this is not the waker it has, clones it, and that clone is the moment to take its stack. Clones
//! carry the first table, so that nothing is different after that poll.

use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::record::TaskRecord;
use super::runtime_waker::is_runtimes;
use super::wake_source::WakeSource;
use super::{await_point, context, sub_waker};
use crate::{clock, current};

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);
static TRACED_TABLE: RawWakerVTable = RawWakerVTable::new(clone_traced, wake, wake_by_ref_traced, drop);

/// Remembers the runtime's waker of the task in `record`, at its first poll.
#[inline]
pub(super) fn learn(record: &TaskRecord, runtimes: &Waker) {
    if is_runtimes(runtimes) {
        record.set_runtime_waker(runtimes.data());
    } else {
        record.set_foreign();
    }
}

/// True if this is the waker that the task's first poll had, and one of the runtime's: the runtime's of a task is
/// always the same. Who polls with another one gets no count.
#[inline(always)]
pub(super) fn is_known(record: &TaskRecord, runtimes: &Waker) -> bool {
    std::ptr::eq(record.runtime_waker(), runtimes.data()) && is_runtimes(runtimes)
}

/// The waker for a poll of the task in `record`, borrowed and never dropped.
#[inline]
pub(super) fn borrowed(record: &'static TaskRecord, traced: bool) -> ManuallyDrop<Waker> {
    let table = if traced { &TRACED_TABLE } else { &TABLE };
    // SAFETY: the functions below keep the contract of `RawWaker`; `data` is a record, which lives for
    // ever. The borrowed waker is not counted, and not dropped.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(std::ptr::from_ref(record).cast(), table)) })
}

/// The addresses of the two tables.
#[cfg(samples_heap)]
pub(crate) fn tables() -> [u64; 2] {
    [&TABLE, &TRACED_TABLE].map(|table| std::ptr::from_ref(table).addr() as u64)
}

/// The record that a waker of ours belongs to.
pub(super) fn record_of(waker: &Waker) -> Option<&'static TaskRecord> {
    let waker = sub_waker::parents(waker);
    let ours = std::ptr::eq(waker.vtable(), &TABLE) || std::ptr::eq(waker.vtable(), &TRACED_TABLE);
    // SAFETY: with one of our tables, `data` is what `borrowed` put there.
    ours.then(|| unsafe { record(waker.data()) })
}

/// # Safety
/// `data` is that of a waker with one of our tables.
#[inline]
unsafe fn record(data: *const ()) -> &'static TaskRecord {
    // SAFETY: made from a `&'static TaskRecord` by `borrowed`.
    unsafe { &*data.cast::<TaskRecord>() }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called with a waker's own data.
    let record = unsafe { record(data) };
    if record.add_waker() { RawWaker::new(data, &TABLE) } else { uncounted(record) }
}

/// A clone that is the runtime's own, where there are too many of ours.
#[cold]
fn uncounted(record: &TaskRecord) -> RawWaker {
    let waker = ManuallyDrop::new(record.runtimes_clone());
    RawWaker::new(waker.data(), waker.vtable())
}

unsafe fn clone_traced(data: *const ()) -> RawWaker {
    // SAFETY: called with a waker's own data.
    await_point::take_stack(unsafe { record(data) });
    // SAFETY: as above.
    unsafe { clone(data) }
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called with a waker's own data, which is used up here: its count falls after the wake.
    unsafe {
        wake_by_ref(data);
        let record = record(data);
        if record.use_up_waker() {
            context::free_record(record);
        }
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called with a waker's own data.
    let record = unsafe { record(data) };
    let by = current::get();
    if by.id().is_none() {
        return record.wake(clock::stamp_ns(), WakeSource::ByThread(context::thread()));
    }
    if by == record.current() {
        record.add_self_wake();
    }
    record.wake(clock::stamp_ns(), WakeSource::ByTask(by));
}

unsafe fn wake_by_ref_traced(data: *const ()) {
    // SAFETY: called with a waker's own data.
    unsafe {
        await_point::woke_by_borrowed(record(data));
        wake_by_ref(data);
    }
}

unsafe fn drop(data: *const ()) {
    // SAFETY: called with a waker's own data.
    let record = unsafe { record(data) };
    if record.drop_waker(current::get()) {
        context::free_record(record);
    }
}
