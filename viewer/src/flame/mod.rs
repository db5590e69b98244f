//! The heap as a flamegraph: the whole tree in memory, bounded slices of it on a page.
//!
//! No frame is lost for being small: what a slice leaves out is one node at the end of its parent,
//! and a slice may begin at any frame.

pub(crate) mod slice;
pub(crate) mod svg;
pub(crate) mod tree;
pub(crate) mod value;
