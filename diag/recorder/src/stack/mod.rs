//! Call stacks: return addresses, without a lock, an allocation or a stray read.
//!
//! Taken by the heap sampler in the allocation hook and by the task recorder where a future leaves its
//! waker. Frame pointers are followed where they are whole, which is ten times faster; otherwise framehop
//! reads the unwind tables (`unwinder.rs`). Never libgcc's unwinder: its lock has hung services. A walk
//! reads nothing but what `stack_bounds.rs` allows.
//!
//! Nothing is symbolized here but in `symbols`, far from the service's threads.

mod dependency_log;
mod frame_pointer;
#[cfg(test)]
mod late_library;
mod module;
pub(crate) mod modules;
mod stack_bounds;
mod stack_snapshot;
#[cfg(test)]
pub(crate) mod testing;
mod unwind_cache;
mod unwinder;
mod walk;

pub(crate) use module::LoadedModule;
pub(crate) use stack_bounds::{has_room, is_behind_system_call, is_told};
pub(crate) use stack_snapshot::StackSnapshot;
pub(crate) use unwind_cache::UnwindCache;
#[cfg(test)]
pub(crate) use walk::capture_until;
pub(crate) use walk::has_room as has_room_to_walk;
pub(crate) use walk::{Frames, MAX_FRAMES, Registers, method, registers};

use crate::health::Status;

/// Whether stacks can be taken.
pub(crate) fn status() -> Status {
    if is_told() {
        return Status::Works;
    }
    Status::Failed(
        "the system refuses rt_sigprocmask, which tells whether memory can be read: samples of the heap and parked \
         tasks have no stacks"
            .into(),
    )
}

/// Loads the unwind tables and tests the frame pointers; later calls only take up libraries that were
/// loaded in between. Not to be called from a hook.
pub(crate) fn prepare() {
    unwinder::prepare();
    stack_bounds::prepare();
    walk::prepare();
}
