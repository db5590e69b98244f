//! How much memory an ended task keeps for as long as it is held: the cell that tokio made for it.
//!
//! tokio 1.x allocates one block a task and gives it back when the last handle or waker is gone: a header, the
//! scheduler, the id, the future or its output behind a tag, and room for lists and wakers. The size of the
//! output is not known here, so where an output is larger than the future the cell is larger than told.

use diag_snapshot::SiteKind;
use tokio::task::JoinError;

const POINTER: usize = size_of::<usize>();
/// Header, scheduler and id; list pointers, waker and hooks.
const AROUND: usize = 4 * POINTER + POINTER + 8 + 6 * POINTER;
/// Before the future or its output.
const TAG: usize = POINTER;
/// What is no future and no output.
pub(crate) const WITHOUT_STAGE: usize = AROUND + TAG;
/// The least that an output takes.
pub(crate) const OUTPUT: usize = size_of::<Result<(), JoinError>>();
/// A larger future is boxed, and that box is gone when the task has ended.
pub(crate) const BOXED_ABOVE: usize = if cfg!(debug_assertions) { 2_048 } else { 16_384 };
/// A cell is a whole number of lines, of two on most processors.
pub(crate) const LINE: usize = crate::sys::FETCHED_BYTES;

/// At least so many bytes are kept of an ended task whose future had this size.
pub(super) fn ended_bytes(kind: Option<SiteKind>, future_bytes: u64) -> u64 {
    // The recorder's wrapper is a pointer larger than the future.
    let future = (future_bytes as usize).next_multiple_of(POINTER) + POINTER;
    let is_inside = matches!(kind, Some(SiteKind::Task | SiteKind::Local)) && future <= BOXED_ABOVE;
    let stage = if is_inside { future.max(OUTPUT) } else { OUTPUT };
    (WITHOUT_STAGE + stage).next_multiple_of(LINE) as u64
}
