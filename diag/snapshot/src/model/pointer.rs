//! Pointers that a sweep found: who has whom.

use super::node::{Node, NodeKind};
use crate::schema::{codes, table};

codes! {
    /// What a pointer is, by where it points to.
    PointerKind {
        /// To the start of a block, or to its inside.
        Address = "address",
        /// A waker of a task: who has it may wake the task.
        Waker = "waker",
        /// To the start of a task, as its handles have it.
        Handle = "handle",
    }
}

table! {
    /// A pointer. Only those that matter are there: to what tasks wait in, to tasks, and up to three steps back from sampled
    /// blocks.
    PointerRow in points, since 1.13 {
        /// What has it.
        from_kind: NodeKind as Plain;
        /// Which one.
        from_id: u64 as Delta;
        /// Where in it; 0 in what has no start.
        from_offset: u64 as Plain;
        /// What it points to.
        to_kind: NodeKind as Plain;
        /// Which one.
        to_id: u64 as Delta;
        /// Where in it.
        to_offset: u64 as Plain;
        /// What it is.
        pointer: PointerKind as Plain;
        /// True if it was there in both looks.
        held: bool as Plain;
    }
}

impl PointerRow {
    /// What has it.
    pub fn from(&self) -> Node {
        Node { kind: self.from_kind, id: self.from_id }
    }

    /// What it points to.
    pub fn to(&self) -> Node {
        Node { kind: self.to_kind, id: self.to_id }
    }
}
