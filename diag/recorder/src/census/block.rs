//! A block of the census, as whoever asks for it gets it.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::alloc::Layout;

use crate::current::CurrentTask;

/// A block that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) address: usize,
    pub(crate) layout: Layout,
    /// Never reused, and no other task's id either. Threads take them in runs, so they are not in the order of time.
    pub(crate) birth: u64,
    pub(crate) origin: Origin,
    /// Stamp of the coarse clock.
    pub(crate) born_ns: u64,
    /// Number in the stack table; 0 if it was not taken.
    pub(crate) stack: u32,
    /// Small number of the thread that allocated it.
    pub(crate) thread: u32,
}

/// Who a block was allocated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Outside of a task.
    Outside,
    /// This recorded task was running.
    Recorded(CurrentTask),
    /// A task without a record was, with an id of these bits (`task/tokio_id.rs`).
    Unrecorded(u64),
}

impl Origin {
    /// Which of the three, and of what.
    pub(super) fn words(self) -> [u64; 2] {
        match self {
            Origin::Outside => [0, 0],
            Origin::Recorded(task) => [1, task.word()],
            Origin::Unrecorded(bits) => [2, bits],
        }
    }

    pub(super) fn from_words([kind, of]: [u64; 2]) -> Self {
        match kind {
            1 => Origin::Recorded(CurrentTask::from_word(of)),
            2 => Origin::Unrecorded(of),
            _ => Origin::Outside,
        }
    }
}
