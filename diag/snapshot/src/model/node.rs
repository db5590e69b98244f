//! What can hold something, and be held: the ends of every pointer that a sweep keeps.

use crate::schema::codes;

codes! {
    /// What a node of the graph of holders is. What its id is depends on that.
    NodeKind {
        /// A task, live or ended and held: its id.
        Task = "task",
        /// A socket or channel: its id in `resources`.
        Resource = "resource",
        /// A sampled block of the heap: its birth number.
        Sample = "sample",
        /// A block that no other table has: its id in `blocks`.
        Block = "block",
        /// A word of the executable or of a library that can be written: its id in `statics`.
        Static = "static",
        /// What a thread has on its stack: the kernel's id of the thread.
        Thread = "thread",
        /// What a thread has in its thread-locals: the kernel's id of the thread.
        ThreadLocal = "thread-local",
        /// A runtime's own memory or the kernel's, as a registration with it: 0.
        Registration = "registration",
    }
}

/// A node: what it is, and which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Which one of that kind.
    pub id: u64,
}
