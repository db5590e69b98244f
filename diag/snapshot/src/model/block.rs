//! Blocks of memory that a sweep tells apart, and that no other table has.

use super::stack::StackIndex;
use super::task::TaskId;
use crate::schema::{codes, table};
use crate::units::Bytes;

codes! {
    /// How a block is known.
    BlockKind {
        /// It is aligned as tasks and channels are, and is neither.
        Aligned = "aligned",
        /// It is known by pointers alone: tasks wait in it, so that it has a lock, a `Notify` or the like.
        Found = "found",
        /// Every block is recorded.
        Recorded = "recorded",
    }
}

table! {
    /// A block that waiting tasks or sampled blocks are held by.
    BlockRow in blocks, since 1.13 {
        /// Its number in this snapshot. Of one that is not known by pointers alone also in others of this process.
        id: u64 as Ascending;
        /// How it is known.
        kind: BlockKind as Plain;
        /// Its size; none of one that is known by pointers alone.
        size_bytes: Option<u64> as Plain of Option<Bytes>;
        /// Who allocated it.
        stack: Option<StackIndex> as Plain;
        /// The task in whose poll it was allocated; it may have ended.
        opener: Option<TaskId> as Plain;
    }
}
