//! The signal that comes when so much CPU time has gone by, to a thread that runs, and the slots that it fills.
//!
//! | state of a slot | next | by | ordering |
//! |---|---|---|---|
//! | free | writing | the handler | Acquire, pairs with the store of free |
//! | writing | full | the same handler | Release, pairs with the load of full |
//! | full | free | the profile, after the walk | Release |
//!
//! The handler is installed by the first profile, if the signal is free, and stays: a signal that arrives late
//! must find it. It runs on the signal stack and restarts system calls, and it comes to a thread that runs; one that
//! is just about to wait in a call that is never restarted gets `EINTR` from it, which is counted.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::CpuError;
use crate::current::{self, CurrentTask};
use crate::fork::{self, Once};
use crate::memory::{self, Zeroed};
use crate::stack::StackSnapshot;
use crate::sys::signals::{self, Interrupted};
use crate::thread;

/// Samples that are not walked yet. Those beyond are lost, and their time goes to the others.
const SLOTS: usize = 128;

const FREE: u32 = 0;
const WRITING: u32 = 1;
const FULL: u32 = 2;
/// Above these bits of a state lies the number of the process that it is of.
const PHASE: u32 = 3;

struct SampleSlot {
    state: AtomicU32,
    /// The word of the task that was being polled.
    task: AtomicU64,
    stack: StackSnapshot,
}

// SAFETY: atomics only, of which zeros are a value: a free slot.
unsafe impl Zeroed for SampleSlot {}

/// Mapped by the first profile; memory is taken as far as stacks are deep.
static TABLE: Once<&'static [SampleSlot]> = Once::new();
static IS_ON: AtomicBool = AtomicBool::new(false);

/// From now on a signal is answered.
pub(super) fn start() -> Result<(), CpuError> {
    let slots = || memory::zeroed(SLOTS).ok_or_else(|| CpuError::Refused(io::ErrorKind::OutOfMemory.into()));
    TABLE.get_or_try_init(slots)?;
    if !signals::install(signals::PROFILING, handle).map_err(CpuError::Refused)? {
        return Err(CpuError::Taken);
    }
    // What a thread of a parent process was writing.
    let is_inherited = |state: u32| state != FREE && state >> 2 != fork::process().get();
    for slot in TABLE.get().into_iter().flat_map(|table| table.iter()) {
        if is_inherited(slot.state.load(Ordering::Relaxed)) {
            slot.state.store(FREE, Ordering::Relaxed);
        }
    }
    // What came after the end of the last profile.
    drain(|_, _| {});
    IS_ON.store(true, Ordering::Relaxed);
    Ok(())
}

/// A signal that is still on its way will find nothing to do.
pub(super) fn stop() {
    IS_ON.store(false, Ordering::Relaxed);
}

/// Hands out the samples that are there.
pub(super) fn drain(mut take: impl FnMut(CurrentTask, &StackSnapshot)) {
    for slot in TABLE.get().into_iter().flat_map(|table| table.iter()) {
        // Acquire: pairs with the handler's Release of full.
        if slot.state.load(Ordering::Acquire) & PHASE == FULL {
            take(CurrentTask::from_word(slot.task.load(Ordering::Relaxed)), &slot.stack);
            // Release: pairs with the Acquire of the handler that takes it next.
            slot.state.store(FREE, Ordering::Release);
        }
    }
}

/// Runs on whatever thread the signal struck, wherever it did: touches nothing but atomics, the thread's word
/// for the current task and that thread's own stack.
fn handle(interrupted: &Interrupted) {
    if !IS_ON.load(Ordering::Relaxed) {
        return;
    }
    thread::notice_ended_call(interrupted);
    let own = fork::known() << 2;
    let take = |slot: &&SampleSlot| {
        // Acquire: pairs with the Release of free.
        slot.state.compare_exchange(FREE, own | WRITING, Ordering::Acquire, Ordering::Relaxed).is_ok()
    };
    let Some(slot) = TABLE.get().and_then(|table| table.iter().find(take)) else { return };
    slot.task.store(current::get().word(), Ordering::Relaxed);
    slot.stack.write(interrupted.into());
    // Release: pairs with the Acquire in `drain`.
    slot.state.store(own | FULL, Ordering::Release);
}
