//! A module: what the frames of a stack lie in.

use std::ops::Range;

/// A module and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct LoadedModule {
    /// Path of its file.
    pub(crate) path: String,
    /// True for the executable, false for a library.
    pub(crate) is_executable: bool,
    /// Lower-case hex.
    pub(crate) build_id: Option<String>,
    /// What is added to an address in the file to give the one in memory.
    pub(crate) base: u64,
    /// Its segments in memory.
    pub(crate) memory: Range<u64>,
    /// `.eh_frame_hdr` by addresses in the file: a sorted index of the functions.
    pub(super) index: Option<Range<u64>>,
    /// `.eh_frame` by addresses in the file, up to the end of its segment.
    pub(super) frames: Option<Range<u64>>,
}
