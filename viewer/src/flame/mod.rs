//! The heap, the waiting tasks and CPU time as flamegraphs: the whole tree in memory, bounded slices of it on a page.
//!
//! No frame is lost for being small: what a slice leaves out is counted and stays with its caller, and a slice may begin at
//! any frame. A slice is drawn three times: as JSON for the script of the page, as SVG with a link for each frame, and
//! by inferno.

pub(crate) mod age;
pub(crate) mod choice;
pub(crate) mod document;
pub(crate) mod drawn;
pub(crate) mod filter;
pub(crate) mod growth;
pub(crate) mod heaps;
pub(crate) mod in_use;
pub(crate) mod measure;
pub(crate) mod on_cpu;
pub(crate) mod picture;
pub(crate) mod search;
pub(crate) mod slice;
pub(crate) mod svg;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod waiting;
pub(crate) mod weights;
pub(crate) mod width;
